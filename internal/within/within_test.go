package within_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/within"
)

type ownKey struct{}

// What nobody waits for makes nobody wait for the parent either.
func TestContextAsksNothingOfItsParent(t *testing.T) {
	c := within.New(asked{t.Context(), t}, time.Hour)
	defer c.End()
	if err := c.Err(); err != nil || c.Value(ownKey{}) != nil {
		t.Errorf("got %v, want no end", err)
	}
}

// An asked context fails the test if somebody waits for its end.
type asked struct {
	context.Context
	t *testing.T
}

func (a asked) Done() <-chan struct{} {
	a.t.Error("the parent was asked for its end")
	return a.Context.Done()
}

// TestContextEnds has it end in every way, both where somebody has waited
// for that and where nobody has.
func TestContextEnds(t *testing.T) {
	const limit = time.Second
	errGone := errors.New("client gone")
	ways := map[string]struct {
		end        func(c *within.Context, endParent context.CancelCauseFunc)
		err, cause error
	}{
		"in time":       {func(c *within.Context, _ context.CancelCauseFunc) { c.End() }, context.Canceled, context.Canceled},
		"too late":      {func(*within.Context, context.CancelCauseFunc) { time.Sleep(limit) }, context.DeadlineExceeded, context.DeadlineExceeded},
		"by its parent": {func(_ *within.Context, endParent context.CancelCauseFunc) { endParent(errGone) }, context.Canceled, errGone},
	}
	for name, way := range ways {
		for _, watched := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				parent, endParent := context.WithCancelCause(context.WithValue(t.Context(), ownKey{}, "mine"))
				defer endParent(nil)
				c := within.New(parent, limit)
				defer c.End()
				var child context.Context = c
				if watched {
					var cancel context.CancelFunc
					child, cancel = context.WithCancel(c)
					defer cancel()
				}
				time.Sleep(limit - time.Nanosecond)
				if c.Err() != nil || child.Err() != nil {
					t.Fatalf("%s: ended before it did", name)
				}
				way.end(c, endParent)
				synctest.Wait()
				for what, ctx := range map[string]context.Context{"it": c, "its child": child} {
					if !errors.Is(ctx.Err(), way.err) || !errors.Is(context.Cause(ctx), way.cause) {
						t.Errorf("%s: %s ended by %v, %v, want %v, %v", name, what, ctx.Err(), context.Cause(ctx), way.err, way.cause)
					}
					select {
					case <-ctx.Done():
					default:
						t.Errorf("%s: %s is not done", name, what)
					}
					if got := ctx.Value(ownKey{}); got != "mine" {
						t.Errorf("%s: %s has the value %v of the parent, want mine", name, what, got)
					}
				}
			})
		}
	}
}

// TestContextStaysEnded: what it has ended by first is what it has ended by.
func TestContextStaysEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		parent, endParent := context.WithCancel(t.Context())
		defer endParent()
		c := within.New(parent, time.Second)
		defer c.End()
		time.Sleep(time.Second)
		for range 2 {
			if err := c.Err(); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want DeadlineExceeded", err)
			}
			endParent()
			c.End()
		}
	})
}

// TestContextDeadline: the earlier of its own and its parent's.
func TestContextDeadline(t *testing.T) {
	const own = 2 * time.Second
	for _, of := range []time.Duration{own / 2, 2 * own} {
		synctest.Test(t, func(t *testing.T) {
			parent, cancel := context.WithTimeout(t.Context(), of)
			defer cancel()
			c := within.New(parent, own)
			defer c.End()
			if at, ok := c.Deadline(); !ok || time.Until(at) != min(of, own) {
				t.Errorf("parent %v: got %v, %v", of, time.Until(at), ok)
			}
		})
	}
}
