package usher_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/ushertest"
)

func TestMemorySpender(t *testing.T) {
	ushertest.TestSpender(t, func(*testing.T) usher.Spender { return &usher.MemorySpender{} })
}

func numberedID(n uint64) (id [16]byte) {
	binary.BigEndian.PutUint64(id[8:], n)
	return id
}

// At the bound the newest is refused, nothing is forgotten before its time,
// and places come free after it.
func TestMemorySpenderIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const bound = 100
		m := &usher.MemorySpender{Max: bound}
		until := time.Now().Add(time.Minute)
		for n := range uint64(bound) {
			if err := m.Spend(t.Context(), numberedID(n), until); err != nil {
				t.Fatalf("Spend of id %d: got %v, want nil", n, err)
			}
		}
		err := m.Spend(t.Context(), numberedID(bound), until)
		if !errors.Is(err, usher.ErrUnavailable) || errors.Is(err, usher.ErrSpent) {
			t.Errorf("Spend beyond the bound: got %v, want ErrUnavailable", err)
		}
		for n := range uint64(bound) {
			if err := m.Spend(t.Context(), numberedID(n), until); !errors.Is(err, usher.ErrSpent) {
				t.Fatalf("Spend of id %d at the bound: got %v, want ErrSpent", n, err)
			}
		}
		time.Sleep(time.Minute + time.Second)
		until = time.Now().Add(time.Minute)
		for n := range uint64(bound) {
			if err := m.Spend(t.Context(), numberedID(1000+n), until); err != nil {
				t.Fatalf("Spend of id %d after the others ended: got %v, want nil", 1000+n, err)
			}
		}
	})
}

func TestMemorySpenderRefusesWhatItCannotKeep(t *testing.T) {
	var m usher.MemorySpender
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	tests := []struct {
		name  string
		ctx   context.Context
		until time.Time
	}{
		{"time has passed", t.Context(), time.Now().Add(-time.Second)},
		{"no time", t.Context(), time.Time{}},
		{"canceled", canceled, time.Now().Add(time.Minute)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := m.Spend(tt.ctx, [16]byte{1}, tt.until); err == nil || errors.Is(err, usher.ErrSpent) {
				t.Errorf("Spend: got %v, want another error", err)
			}
		})
	}
	if err := m.Spend(t.Context(), [16]byte{1}, time.Now().AddDate(3000, 0, 0)); err != nil {
		t.Errorf("Spend after refusals, until far ahead: got %v, want nil", err)
	}
	if err := m.Spend(t.Context(), [16]byte{1}, time.Now().Add(time.Minute)); !errors.Is(err, usher.ErrSpent) {
		t.Errorf("second Spend: got %v, want ErrSpent", err)
	}
}

// Whatever is spent, in whatever order of times: an id whose time has not come
// is never admitted again, and a new one always is.
func TestMemorySpenderProperty(t *testing.T) {
	// A step waits, then spends an id and asks for it to be kept.
	type step struct{ Pause, ID, Keep int }
	steps := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) step {
		return step{
			Pause: rapid.IntRange(0, 20).Draw(t, "pause"),
			ID:    rapid.IntRange(0, 9).Draw(t, "id"),
			Keep:  rapid.IntRange(1, 120).Draw(t, "keep"),
		}
	}), 1, 60)
	rapid.Check(t, func(rt *rapid.T) {
		run := steps.Draw(rt, "steps")
		var wrong error
		synctest.Test(t, func(t *testing.T) {
			m := &usher.MemorySpender{}
			model := make(map[int]time.Time)
			for i, s := range run {
				time.Sleep(time.Duration(s.Pause) * time.Second)
				now := time.Now()
				until := now.Add(time.Duration(s.Keep) * time.Second)
				err := m.Spend(t.Context(), numberedID(uint64(s.ID)), until)
				old, known := model[s.ID]
				switch {
				case err == nil && known && !now.After(old):
					wrong = fmt.Errorf("step %d, %v before the id's time: got nil, want ErrSpent", i, old.Sub(now))
				case err == nil:
					model[s.ID] = until
				case !errors.Is(err, usher.ErrSpent):
					wrong = fmt.Errorf("step %d: got %w, want nil or ErrSpent", i, err)
				case !known:
					wrong = fmt.Errorf("step %d, a new id: got ErrSpent, want nil", i)
				}
			}
		})
		if wrong != nil {
			rt.Fatal(wrong)
		}
	})
}

func BenchmarkMemorySpender(b *testing.B) {
	m := &usher.MemorySpender{Max: 1 << 40}
	until := time.Now().Add(time.Hour)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		var id [16]byte
		for pb.Next() {
			rand.Read(id[:])
			if err := m.Spend(context.Background(), id, until); err != nil {
				b.Fatal(err)
			}
		}
	})
}
