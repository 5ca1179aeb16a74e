// Package within bounds in time what mostly waits for nothing. It knows nothing of
// that. The Guard's verdicts and the attaches of the hub's connections are its
// callers.
package within

import (
	"context"
	"sync"
	"time"
)

// A Context is what [context.WithTimeout] would return, at a fraction of the cost
// where nobody waits for its end: most of what is done within it computes and
// never asks. The timer, and the place in the parent, come with the first call of
// Done. So does what the parent makes for whoever waits for its own end, and then
// keeps for as long as it lives.
type Context struct {
	parent   context.Context
	deadline time.Time

	mu sync.Mutex
	// Guarded by mu.
	timed context.Context // Nil until it is needed.
	stop  context.CancelFunc
	over  bool
}

// New returns a context that ends with parent or after limit. The
// caller calls End when nobody needs it any more.
func New(parent context.Context, limit time.Duration) *Context {
	c := &Context{parent: parent, deadline: time.Now().Add(limit)}
	if at, ok := parent.Deadline(); ok && at.Before(c.deadline) {
		c.deadline = at
	}
	return c
}

// End ends the context, for whoever has kept it.
func (c *Context) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.stop != nil {
		c.stop()
	}
}

// start returns the context with a timer. Callers hold mu.
func (c *Context) start() context.Context {
	if c.timed == nil {
		c.timed, c.stop = context.WithDeadline(c.parent, c.deadline)
		if c.over {
			c.stop()
		}
	}
	return c.timed
}

// Deadline implements [context.Context].
func (c *Context) Deadline() (time.Time, bool) { return c.deadline, true }

// String is what a context is printed as: never what is in it.
func (c *Context) String() string { return "within.Context" }

// Done implements [context.Context].
func (c *Context) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start().Done()
}

// Err implements [context.Context].
func (c *Context) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil || c.over || c.parent.Err() != nil || !time.Now().Before(c.deadline) {
		return c.start().Err() // It stays what it is now.
	}
	return nil
}

// Value implements [context.Context]. Once there is a timer it is asked, since
// package context looks there for whom to tell of the end.
func (c *Context) Value(key any) any {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.parent.Value(key)
}
