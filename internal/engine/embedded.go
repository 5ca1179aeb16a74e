package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// An embedded is a server inside this process. It listens nowhere: connections
// to it are pipes.
type embedded struct {
	// Immutable.
	o   Options
	log *serverLog
	dir *dataDir

	// Owned by whoever looks whether all is well.
	ailing  time.Time // Since when it does not answer though there is room; or zero.
	started time.Time // When it was started anew, if it was.

	mu sync.Mutex
	// Guarded by mu.
	srv *server.Server
}

// openEmbedded opens a store on a server inside this process.
func openEmbedded(ctx context.Context, o Options) (store, error) {
	l, e, err := linkEmbedded(ctx, o)
	if err != nil {
		return nil, err
	}
	return newJetStream(l, 1, o.maxBytes, e)
}

// linkEmbedded starts a server inside this process and connects to it.
func linkEmbedded(ctx context.Context, o Options) (*link, *embedded, error) {
	dir, err := openDir(o.Data)
	if err != nil {
		return nil, nil, err
	}
	o.Data = dir.name
	e := &embedded{o: o, log: &serverLog{log: o.Log}, dir: dir}
	if e.srv, err = startServer(ctx, o, e.log); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("start JetStream in %s: %w", o.Data, err), dir.close())
	}
	l := &link{log: o.Log, reach: newReach(o)}
	l.nc, err = nats.Connect("", append(handlers(l.reach),
		nats.Name(connectionName),
		nats.InProcessServer(e),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(redialWait),
		nats.ReconnectBufSize(-1),
		nats.NoEcho(),
	)...)
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("connect to JetStream in %s: %w", o.Data, err), e.close())
	}
	return l, e, nil
}

// InProcessConn connects to the server that runs now.
func (e *embedded) InProcessConn() (net.Conn, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.srv.InProcessConn()
}

func (e *embedded) close() error {
	stopServer(e.srv)
	return e.dir.close()
}

func stopServer(srv *server.Server) {
	srv.Shutdown()
	srv.WaitForShutdown()
}

const (
	// ailingFor is how long a server that does not answer is left alone, and
	// startEvery how often it is started anew at most.
	ailingFor  = 3 * time.Second
	startEvery = 30 * time.Second
	// restartTimeout bounds how long a server takes to start.
	restartTimeout = 30 * time.Second
)

// mend is told why the store is not well, or nil, and returns the same or the
// cause of it. A server whose disk was full does not try to write again, also
// when there is room: so it is started anew then.
func (e *embedded) mend(ctx context.Context, why error) error {
	if why == nil || errors.Is(why, errFull) {
		e.ailing = time.Time{}
		return why
	}
	if err := e.dir.room(); err != nil {
		e.ailing = time.Time{}
		return fmt.Errorf("%w: %w", errFull, err)
	}
	if e.ailing.IsZero() {
		e.ailing = time.Now()
	}
	if time.Since(e.ailing) < ailingFor || time.Since(e.started) < startEvery {
		return why
	}
	e.ailing, e.started = time.Time{}, time.Now()
	e.o.Log.Warn("embedded store does not answer: it is started anew", slog.Any("error", why))
	e.mu.Lock()
	defer e.mu.Unlock()
	stopServer(e.srv)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), restartTimeout)
	defer cancel()
	srv, err := startServer(ctx, e.o, e.log)
	if err != nil {
		return fmt.Errorf("start JetStream in %s: %w", e.o.Data, err)
	}
	e.srv = srv
	return why // Until the next look.
}

func startServer(ctx context.Context, o Options, log *serverLog) (*server.Server, error) {
	srv, err := server.NewServer(&server.Options{
		ServerName:             "usher",
		DontListen:             true,
		NoSigs:                 true,
		JetStream:              true,
		StoreDir:               o.Data,
		SyncAlways:             o.syncEvery == 0,
		SyncInterval:           o.syncEvery,
		DisableJetStreamBanner: true,
		JetStreamMaxStore:      o.maxStore(),
	})
	if err != nil {
		return nil, err
	}
	srv.SetLoggerV2(log, false, false, false)
	srv.Start()
	for !srv.ReadyForConnections(lookAgain) || !srv.JetStreamEnabled() {
		err := log.fatal()
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			stopServer(srv)
			return nil, err
		}
	}
	return srv, nil
}

// maxStore bounds all buckets together: 0 is three quarters of what is free on
// the disk.
func (o *Options) maxStore() int64 { return maxBuckets * o.maxBytes }

// A serverLog is where the server inside this process logs to: warnings and
// errors. What ends other servers is kept, for whoever has started this one.
type serverLog struct {
	log *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	end error
}

var _ server.Logger = (*serverLog)(nil)

func (*serverLog) Noticef(string, ...any) {}
func (*serverLog) Debugf(string, ...any)  {}
func (*serverLog) Tracef(string, ...any)  {}

func (l *serverLog) Warnf(format string, v ...any) {
	l.log.Warn("embedded store", slog.String("text", fmt.Sprintf(format, v...)))
}

func (l *serverLog) Errorf(format string, v ...any) {
	l.log.Error("embedded store", slog.String("text", fmt.Sprintf(format, v...)))
}

func (l *serverLog) Fatalf(format string, v ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.end = fmt.Errorf(format, v...)
}

// fatal returns why the server has ended by itself, if it has.
func (l *serverLog) fatal() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.end
}
