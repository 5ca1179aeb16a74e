package usher

import (
	"context"
	"maps"
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
	live     map[*lease]chan struct{} // Closed when the connection is.
	draining bool
}

// Len returns how many connections are live: admitted upgrades that are not
// closed, and whose handler has not declined.
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
	for l, gone := range s.startDrain() {
		wait.Add(1)
		at := time.Duration(0)
		if spread > 0 {
			at = rand.N(spread)
		}
		time.AfterFunc(at, func() {
			defer wait.Done()
			l.end(drainRefusal())
			select { // Somebody else may be ending it.
			case <-gone:
			case <-ctx.Done():
			}
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

func (s *Sessions) startDrain() map[*lease]chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	return maps.Clone(s.live)
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
		s.live = make(map[*lease]chan struct{})
	}
	s.live[l] = make(chan struct{})
	return true
}

func (s *Sessions) remove(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if gone, ok := s.live[l]; ok {
		close(gone)
		delete(s.live, l)
	}
}
