package usher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/within"
)

var errTest = errors.New("over")

// stays and goes are handlers; the connections of goes are served elsewhere.
type (
	stays struct{ http.Handler }
	goes  struct{ http.Handler }
)

func (goes) ServesElsewhere() {}

type ownKey struct{}

// leaseUnder returns the context of a new lease under a context of its own.
func leaseUnder(t *testing.T) (c *leaseContext, endParent context.CancelCauseFunc) {
	t.Helper()
	parent, cancel := context.WithCancelCause(context.WithValue(t.Context(), ownKey{}, "mine"))
	t.Cleanup(func() { cancel(nil) })
	l := (&guardState{}).newLease(parent)
	return &l.ctx, cancel
}

// TestLeaseContextEnds has contexts end in every way, observed in every way.
func TestLeaseContextEnds(t *testing.T) {
	ways := map[string]func(c *leaseContext, endParent context.CancelCauseFunc){
		"by its lease":                 func(c *leaseContext, _ context.CancelCauseFunc) { c.end(errTest) },
		"by its parent":                func(_ *leaseContext, endParent context.CancelCauseFunc) { endParent(errTest) },
		"by its lease, once loose":     func(c *leaseContext, _ context.CancelCauseFunc) { c.loosen(stays{}); c.end(errTest) },
		"by its parent, then loosened": func(c *leaseContext, endParent context.CancelCauseFunc) { endParent(errTest); c.loosen(stays{}) },
		"twice":                        func(c *leaseContext, _ context.CancelCauseFunc) { c.end(errTest); c.end(errors.New("later")) },
		"by both":                      func(c *leaseContext, endParent context.CancelCauseFunc) { c.end(errTest); endParent(nil) },
	}
	for name, end := range ways {
		for _, watched := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				c, endParent := leaseUnder(t)
				var child context.Context
				hooked := 0
				if watched {
					var cancel context.CancelFunc
					child, cancel = context.WithCancel(c)
					defer cancel()
					c.AfterFunc(func() { hooked++ })
					c.AfterFunc(func() { hooked += 100 })()
					if c.Err() != nil || child.Err() != nil {
						t.Fatalf("%s: ended before it did", name)
					}
				}
				end(c, endParent)
				synctest.Wait()
				if !watched {
					child, hooked = c, 1
				}
				if hooked != 1 {
					t.Errorf("%s: got %d from functions of AfterFunc, want 1", name, hooked)
				}
				for what, ctx := range map[string]context.Context{"it": c, "its child": child} {
					select {
					case <-ctx.Done():
					default:
						t.Errorf("%s: %s is not done", name, what)
					}
					if ctx.Err() != context.Canceled || context.Cause(ctx) != errTest { //nolint:errorlint // What it is, not what is in it.
						t.Errorf("%s: %s ended by %v, %v", name, what, ctx.Err(), context.Cause(ctx))
					}
				}
				late := make(chan bool, 1)
				if stop := c.AfterFunc(func() { late <- true }); !<-late || stop() {
					t.Errorf("%s: a function was not called at once, or could be stopped", name)
				}
			})
		}
	}
}

// TestLeaseContextLoose has the parent end of contexts that were loosened.
func TestLeaseContextLoose(t *testing.T) {
	for _, tt := range []struct {
		name  string
		next  http.Handler
		value any
	}{{"kept", stays{}, "mine"}, {"served elsewhere", goes{}, nil}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, endParent := leaseUnder(t)
				done := c.Done()
				if got := c.Value(ownKey{}); got != "mine" {
					t.Errorf("got the value %v of the parent, want mine", got)
				}
				c.loosen(tt.next)
				endParent(errTest)
				synctest.Wait()
				select {
				case <-done:
					t.Error("ended with its parent")
				default:
				}
				if err := context.Cause(c); err != nil || c.Err() != nil {
					t.Errorf("got %v, %v, want no end", c.Err(), err)
				}
				if got := c.Value(ownKey{}); got != tt.value {
					t.Errorf("got the value %v of the parent, want %v", got, tt.value)
				}
				if leaseOf(c) != c.lease {
					t.Error("its lease is not in it")
				}
				c.end(errTest)
				<-done
				if leaseOf(c) != c.lease || c.Value(ownKey{}) != tt.value {
					t.Error("what was in it was lost at its end")
				}
			})
		})
	}
}

// TestLeaseContextDeadline: that of the parent, except where connections outlive
// the request. It stays so after the end.
func TestLeaseContextDeadline(t *testing.T) {
	at := time.Now().Add(time.Hour)
	parent, cancel := context.WithDeadline(t.Context(), at)
	defer cancel()
	for _, detach := range []bool{false, true} {
		l := (&guardState{detach: detach}).newLease(parent)
		l.visit.upgrade = true
		for range 2 {
			got, ok := l.ctx.Deadline()
			if ok == detach || ok && !got.Equal(at) {
				t.Errorf("detach %v: got %v, %v", detach, got, ok)
			}
			l.ctx.end(errTest)
		}
	}
}

// TestLeaseContextPrinted: who logs a context logs nothing of the connection.
func TestLeaseContextPrinted(t *testing.T) {
	c, _ := leaseUnder(t)
	c.lease.identity.Store(&Identity{Subject: "alice"})
	child, cancel := context.WithCancel(c)
	defer cancel()
	verify := within.New(c, time.Second)
	defer verify.End()
	for _, ctx := range []context.Context{c, child, verify} {
		if text := fmt.Sprintf("%v %+v", ctx, ctx); strings.Contains(text, "alice") || strings.Contains(text, "0x") {
			t.Errorf("got %q, want a name", text)
		}
	}
}
