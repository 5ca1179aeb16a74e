package demo

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// shutdownTime is how long what is left has to end once the gateway has told
// the open sockets to go.
const shutdownTime = 4 * time.Second

// Serve serves until ctx ends; then it tells the open sockets, waits for them
// a few seconds, ends the backends, and returns nil. Any other end is an error.
func (s *Server) Serve(ctx context.Context) error {
	// The gateway ends first, and with it the sockets; then those who serve it.
	whole := context.WithoutCancel(ctx)
	inner, stopGateway := context.WithCancel(whole)
	defer stopGateway()
	handlers, stopSites := context.WithCancel(whole)
	defer stopSites()

	tunnels := make(chan error, 1)
	go func() { tunnels <- s.gateway.run(inner) }()
	servers := []*http.Server{newHTTPServer(handlers, s.site), newHTTPServer(handlers, s.otherSite)}
	sites := make(chan error, len(servers))
	for i, l := range []net.Listener{s.page, s.other} {
		go func() { sites <- servers[i].Serve(l) }()
	}
	failure := s.await(ctx, tunnels, sites)
	stopGateway()
	failure = errors.Join(failure, <-tunnels)
	stopSites()
	deadline, cancel := context.WithTimeout(whole, shutdownTime)
	defer cancel()
	for _, server := range servers {
		if err := server.Shutdown(deadline); err != nil {
			failure = errors.Join(failure, fmt.Errorf("stop the demo: %w", err), server.Close())
		}
	}
	s.recorder.drain(deadline)
	s.gateway.closeIdle()
	for range servers {
		if err := <-sites; !errors.Is(err, http.ErrServerClosed) {
			failure = errors.Join(failure, err)
		}
	}
	return errors.Join(failure, s.backends.stop())
}

// await returns when ctx ends, or one of those who serve. Whoever has ended is
// put back for who waits for it.
func (*Server) await(ctx context.Context, tunnels, sites chan error) error {
	select {
	case <-ctx.Done():
	case err := <-tunnels:
		if tunnels <- nil; err == nil {
			err = errors.New("the gateway ended")
		}
		return err
	case err := <-sites:
		sites <- http.ErrServerClosed
		return err
	}
	return nil
}

func discardLog() *log.Logger { return slog.NewLogLogger(slog.DiscardHandler, slog.LevelDebug) }

func newHTTPServer(ctx context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    64 << 10,
		BaseContext:       func(net.Listener) context.Context { return ctx },
		// What it would log is about clients that went away.
		ErrorLog: discardLog(),
	}
}
