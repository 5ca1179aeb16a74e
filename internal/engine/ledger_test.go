package engine

import (
	"errors"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// What a node has spent stays spent there, also where the store has dropped the
// entry before its time, as one does whose clock is set ahead and back.
func TestSpentHereStaysSpent(t *testing.T) {
	b := newMemoryBucket(64 << 20)
	l := &ledger{b: b, down: func() (time.Time, error) { return time.Time{}, nil }}
	id, until := [16]byte{1}, time.Now().Add(time.Minute)
	if err := l.Spend(t.Context(), id, until); err != nil {
		t.Fatal(err)
	}
	if err := b.remove(t.Context(), "id.01000000000000000000000000000000", 0); err != nil {
		t.Fatal(err)
	}
	if err := l.Spend(t.Context(), id, until); !errors.Is(err, usher.ErrSpent) {
		t.Errorf("got %v, want ErrSpent", err)
	}
}
