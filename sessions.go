package usher

import (
	"context"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"
)

// Sessions are the live connections of the Guards that share it. The zero value
// is ready for use.
type Sessions struct {
	mu sync.Mutex
	// Guarded by mu.
	live     map[*lease]struct{}
	draining bool
}

// Len returns how many connections are live: admitted, hijacked by their
// handler, and not closed.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.live)
}

// Drain ends every live connection with 1001, each at a random time within
// spread so that not all come back at once, and returns when all are closed or
// ctx ends, with its error. From then on no connection is admitted.
// [http.Server.Shutdown] does not know of hijacked connections: call Drain
// beside it.
func (s *Sessions) Drain(ctx context.Context, spread time.Duration) error {
	var wait sync.WaitGroup
	for _, l := range s.startDrain() {
		wait.Add(1)
		at := time.Duration(0)
		if spread > 0 {
			at = rand.N(spread)
		}
		time.AfterFunc(at, func() {
			defer wait.Done()
			l.expire(drainRefusal())
		})
	}
	all := make(chan struct{})
	go func() {
		wait.Wait()
		close(all)
	}()
	select {
	case <-all:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sessions) startDrain() []*lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	leases := make([]*lease, 0, len(s.live))
	for l := range s.live {
		leases = append(leases, l)
	}
	return leases
}

func (s *Sessions) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func drainRefusal() *Refusal {
	return newRefusal(http.StatusServiceUnavailable, CloseGoingAway, "draining", nil)
}

// add reports whether l may live.
func (s *Sessions) add(l *lease) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return false
	}
	if s.live == nil {
		s.live = make(map[*lease]struct{})
	}
	s.live[l] = struct{}{}
	return true
}

func (s *Sessions) remove(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.live, l)
}
