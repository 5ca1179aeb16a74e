package enginetest

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
)

// A Recorder is a subscriber that remembers what it was told.
type Recorder struct {
	// Renews is what it answers to renewals.
	Renews int

	mu      sync.Mutex
	notices []usher.Notice
	more    chan struct{}
}

// Subscribe has r told of what e hears, until the test ends.
func (r *Recorder) Subscribe(t *testing.T, e *engine.Engine) (stop func()) {
	t.Helper()
	r.more = make(chan struct{}, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	stop, err := e.Subscribe(ctx, r.deliver)
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	stop = sync.OnceFunc(stop)
	t.Cleanup(stop)
	return stop
}

func (r *Recorder) deliver(n usher.Notice) int {
	r.mu.Lock()
	r.notices = append(r.notices, n)
	r.mu.Unlock()
	select {
	case r.more <- struct{}{}:
	default:
	}
	if n.Renewal != nil {
		return r.Renews
	}
	return 0
}

// Heard returns what was told until now.
func (r *Recorder) Heard() []usher.Notice {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]usher.Notice(nil), r.notices...)
}

// Revoked reports whether a revocation of subject was told.
func (r *Recorder) Revoked(subject string) bool {
	for _, n := range r.Heard() {
		if n.Revocation != nil && n.Revocation.Subject == subject {
			return true
		}
	}
	return false
}

// Await waits until a revocation of subject is told, and reports whether it was.
func (r *Recorder) Await(subject string, within time.Duration) bool {
	timer := time.NewTimer(within)
	defer timer.Stop()
	for !r.Revoked(subject) {
		select {
		case <-r.more:
		case <-timer.C:
			return r.Revoked(subject)
		}
	}
	return true
}

// Revoke publishes a revocation of subject, which is kept for d.
func Revoke(ctx context.Context, e *engine.Engine, subject string, d time.Duration) error {
	now := time.Now()
	_, err := e.Publish(ctx, usher.Notice{
		Revocation: &usher.Revocation{Subject: subject, Reason: "left", IssuedBefore: now},
		Until:      now.Add(d),
	})
	return err
}
