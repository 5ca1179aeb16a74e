package engine

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// A deafBucket is one whose answers to create are lost.
type deafBucket struct {
	bucket
	// stores is whether create has an effect all the same, after a while.
	stores bool
	after  time.Duration
	// other is what another node has stored first.
	other string
	// gets is how many reads fail before one does not.
	gets int

	mu    sync.Mutex
	value []byte
}

func (b *deafBucket) store(value []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.value = value
}

func (b *deafBucket) create(ctx context.Context, _ string, value []byte, _ time.Duration) (uint64, error) {
	switch {
	case b.other != "":
		b.store([]byte(b.other))
	case b.stores:
		time.AfterFunc(b.after, func() { b.store(value) })
	}
	<-ctx.Done()
	return 0, ctx.Err()
}

func (b *deafBucket) get(ctx context.Context, _ string) (entry, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.gets--
	switch {
	case ctx.Err() != nil:
		return entry{}, ctx.Err()
	case b.gets >= 0:
		return entry{}, errCutOff
	case b.value == nil:
		return entry{}, errNotFound
	}
	return entry{value: b.value}, nil
}

func TestSpendAnswerLost(t *testing.T) {
	for _, tt := range []struct {
		name  string
		b     *deafBucket
		want  error // Nil: it was this call that has spent it.
		after time.Duration
	}{
		{"it was this call", &deafBucket{stores: true}, nil, time.Second},
		{"it was this call, late", &deafBucket{stores: true, after: 1490 * time.Millisecond}, nil, 1500 * time.Millisecond},
		{"it was another", &deafBucket{other: "another attempt"}, usher.ErrSpent, time.Second},
		{"it was nobody", &deafBucket{}, usher.ErrUnavailable, 2 * time.Second},
		{"it is found late", &deafBucket{stores: true, gets: 5}, nil, 1250 * time.Millisecond},
		{"nobody answers", &deafBucket{stores: true, gets: 1000}, usher.ErrUnavailable, 2 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				l := &ledger{b: tt.b, down: func() (time.Time, error) { return time.Time{}, nil }}
				err := l.Spend(t.Context(), [16]byte{1}, start.Add(time.Minute))
				if !errors.Is(err, tt.want) {
					t.Errorf("got %v, want %v", err, tt.want)
				}
				if took := time.Since(start); took != tt.after {
					t.Errorf("got it after %v, want %v", took, tt.after)
				}
			})
		})
	}
}

// The handshake's own time is over first: nothing is known, so it is refused.
func TestSpendCallerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		defer cancel()
		start := time.Now()
		l := &ledger{b: &deafBucket{stores: true}, down: func() (time.Time, error) { return time.Time{}, nil }}
		if err := l.Spend(ctx, [16]byte{1}, start.Add(time.Minute)); !errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		if took := time.Since(start); took != 300*time.Millisecond {
			t.Errorf("got it after %v, want 300ms", took)
		}
	})
}

func TestSpendKnownToBeDown(t *testing.T) {
	l := &ledger{b: nil, down: func() (time.Time, error) { return time.Now(), errCutOff }} // A bucket would panic.
	if err := l.Spend(t.Context(), [16]byte{1}, time.Now().Add(time.Minute)); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
