package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
)

// A jetStream is the store over NATS JetStream, wherever its servers run.
type jetStream struct {
	*link
	replicas int
	maxBytes int64
	roll     *roll
	// own is the server, where it is inside this process, else nil.
	own  *embedded
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	buckets []*jsBucket
}

// newJetStream starts what looks after nc. After it, close must be called.
func newJetStream(l *link, replicas int, maxBytes int64, own *embedded) (*jetStream, error) {
	ctx, cancel := context.WithCancel(context.Background())
	s := &jetStream{link: l, replicas: replicas, maxBytes: maxBytes, roll: newRoll(l.nc), own: own, stop: cancel}
	s.wg.Go(func() { s.reach.watch(ctx, s.look) })
	if err := s.roll.open(); err != nil {
		return nil, errors.Join(fmt.Errorf("subscribe: %w", err), s.close())
	}
	return s, nil
}

// look is what reach finds out by.
func (s *jetStream) look(ctx context.Context, write bool) error {
	err := s.survey(ctx, write)
	if s.own != nil && !errors.Is(ctx.Err(), context.Canceled) {
		return s.own.mend(ctx, err)
	}
	return err
}

// survey looks at each bucket, and makes anew what was lost.
func (s *jetStream) survey(ctx context.Context, write bool) error {
	if !s.nc.IsConnected() {
		return errCutOff
	}
	s.roll.call()
	s.mu.Lock()
	buckets := s.buckets
	s.mu.Unlock()
	for i, b := range buckets {
		if err := b.refresh(ctx); err != nil {
			return err
		}
		if err := b.deaf(); err != nil {
			return err
		}
		if write && i == 0 {
			if err := b.probe(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// bucket waits until the store is there. The first bucket is the one that
// writing is tried in.
func (s *jetStream) bucket(ctx context.Context, name string, kind bucketKind) (bucket, error) {
	b := &jsBucket{
		link: s.link, name: "usher_" + name, kind: kind,
		replicas: s.replicas, maxBytes: s.maxBytes, watchers: make(map[*watcher]func()),
	}
	for {
		err := s.try(ctx, b)
		if err == nil {
			break
		}
		if errors.Is(err, errForeign) || is(err, codeReplicas) {
			return nil, err // Waiting does not help.
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for JetStream: bucket %s: %w", b.name, err)
		case <-time.After(lookAgain):
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets = append(s.buckets[:len(s.buckets):len(s.buckets)], b)
	return b, nil
}

func (s *jetStream) try(ctx context.Context, b *jsBucket) error {
	// In a cluster that has just started, making a bucket takes longer than a look.
	ctx, cancel := context.WithTimeout(ctx, 5*lookTimeout)
	defer cancel()
	return b.refresh(ctx)
}

// check asks the leader of the first bucket, and knows of writes that failed.
func (s *jetStream) check(ctx context.Context) error {
	if _, err := s.reach.down(); err != nil {
		return err
	}
	s.mu.Lock()
	b := s.buckets[0]
	s.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	if _, err := b.lookAt(ctx, b.stream()); err != nil {
		s.reach.suspect()
		return err
	}
	return nil
}

func (s *jetStream) down() (time.Time, error) { return s.reach.down() }

func (s *jetStream) close() error {
	s.stop()
	s.mu.Lock()
	buckets := s.buckets
	s.mu.Unlock()
	for _, b := range buckets {
		b.stopWatchers()
	}
	s.roll.leave()
	closed := s.nc.StatusChanged(nats.CLOSED)
	s.nc.Close()
	select {
	case <-closed:
	case <-time.After(lookTimeout):
	}
	s.wg.Wait()
	if s.own == nil {
		return nil
	}
	return s.own.close()
}

// handlers tell reach what becomes of the connection.
func handlers(r *reach) []nats.Option {
	return []nats.Option{
		nats.DisconnectErrHandler(func(nc *nats.Conn, err error) {
			switch {
			case nc.IsClosed():
				return
			case err != nil:
				r.lost(fmt.Errorf("%w: %w", errCutOff, err))
			default:
				r.lost(errCutOff)
			}
			r.suspect() // It may be back already: this is told late.
		}),
		nats.ReconnectHandler(func(*nats.Conn) { r.suspect() }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			r.log.Warn("nats connection", slog.Any("error", err))
		}),
	}
}
