package ushertest

import (
	"context"
	"encoding/binary"
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// A broken spender is one that the suite must find out.
type broken func(ctx context.Context, id [16]byte, until time.Time) error

func (b broken) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	return b(ctx, id, until)
}

// A table is a map as spenders have one, and may be used wrongly.
type table struct {
	mu    sync.Mutex
	until map[[16]byte]time.Time
}

func (m *table) has(id [16]byte) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	until, ok := m.until[id]
	return ok && time.Now().Before(until)
}

func (m *table) put(id [16]byte, until time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.until == nil {
		m.until = make(map[[16]byte]time.Time)
	}
	m.until[id] = until
}

// spend is right but for what its hooks do.
func (m *table) spend(id [16]byte, until time.Time) error {
	if m.has(id) {
		return usher.ErrSpent
	}
	m.put(id, until)
	return nil
}

// Each broken spender must fail the check that is there for its fault.
func TestSpenderSuiteFindsFaults(t *testing.T) {
	tests := []struct {
		name, check string
		make        func() usher.Spender
	}{
		{"remembers nothing", "first succeeds, later are spent", func() usher.Spender {
			return broken(func(context.Context, [16]byte, time.Time) error { return nil })
		}},
		{"another error than ErrSpent", "first succeeds, later are spent", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				if m.has(id) {
					return errors.New("no")
				}
				return m.spend(id, until)
			})
		}},
		{"zero id is special", "first succeeds, later are spent", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				if id == [16]byte{} {
					return nil
				}
				return m.spend(id, until)
			})
		}},
		{"uses half of the id", "ids are independent", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				binary.BigEndian.PutUint64(id[8:], 0)
				return m.spend(id, until)
			})
		}},
		{"reads, then writes", "one of many racing succeeds", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				if m.has(id) {
					return usher.ErrSpent
				}
				for range 100 { // As long as a store takes to answer.
					runtime.Gosched()
				}
				m.put(id, until)
				return nil
			})
		}},
		{"forgets too early", "remembered until its time", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				return m.spend(id, until.Add(-time.Second/2))
			})
		}},
		{"takes the time of a later call", "remembered until its time", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				err := m.spend(id, until)
				m.put(id, until)
				return err
			})
		}},
		{"admits when canceled", "a canceled call admits no second", func() usher.Spender {
			m := &table{}
			return broken(func(ctx context.Context, id [16]byte, until time.Time) error {
				select {
				case <-ctx.Done():
					return nil
				default:
					return m.spend(id, until)
				}
			})
		}},
		{"gives the id back when canceled", "calls canceled in flight admit no second", func() usher.Spender {
			m := &table{}
			var mu sync.Mutex
			calls := 0
			return broken(func(ctx context.Context, id [16]byte, until time.Time) error {
				mu.Lock()
				calls++
				if calls == 1 || calls > spenderRacers/2 {
					defer mu.Unlock()
					return m.spend(id, until)
				}
				mu.Unlock()
				<-ctx.Done()
				m.put(id, time.Time{})
				return ctx.Err()
			})
		}},
		{"an old time sticks", "a time that has passed admits no second", func() usher.Spender {
			m := &table{}
			return broken(func(_ context.Context, id [16]byte, until time.Time) error {
				m.mu.Lock()
				old, ok := m.until[id]
				m.mu.Unlock()
				switch {
				case !ok:
					m.put(id, until)
					return nil
				case time.Now().Before(old):
					return usher.ErrSpent
				}
				return nil // Expired, and not written anew.
			})
		}},
		{"remembers since now, always", "since when it remembers is constant", func() usher.Spender {
			return &forgetful{}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				if err := checkNamed(t, tt.check)(t.Context(), tt.make()); err == nil {
					t.Errorf("check %q: got nil, want what is wrong", tt.check)
				}
			})
		})
	}
}

type forgetful struct {
	table
	calls int
}

func (f *forgetful) Since() time.Time {
	f.calls++
	return time.Now().Add(time.Duration(f.calls) - time.Second)
}

func (f *forgetful) Spend(_ context.Context, id [16]byte, until time.Time) error {
	return f.spend(id, until)
}

func checkNamed(t *testing.T, name string) func(context.Context, usher.Spender) error {
	t.Helper()
	for _, c := range spenderChecks {
		if c.name == name {
			return c.check
		}
	}
	t.Fatalf("no check is called %q", name)
	return nil
}
