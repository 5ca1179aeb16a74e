package usher

import (
	"context"
	"sync"
	"time"
)

// A verifyContext is what [context.WithTimeout] would return, at a fraction of
// the cost where nobody waits for its end: most verifiers compute and never ask.
// The timer, and the place in the parent, come with the first call of Done.
type verifyContext struct {
	parent   context.Context
	deadline time.Time

	mu sync.Mutex
	// Guarded by mu.
	timed context.Context // Nil until it is needed.
	stop  context.CancelFunc
	over  bool
}

// newVerifyContext returns a context that ends with parent or after limit. The
// caller calls end when nobody needs it any more.
func newVerifyContext(parent context.Context, limit time.Duration) *verifyContext {
	c := &verifyContext{parent: parent, deadline: time.Now().Add(limit)}
	if at, ok := parent.Deadline(); ok && at.Before(c.deadline) {
		c.deadline = at
	}
	return c
}

// end ends the context, for whoever has kept it.
func (c *verifyContext) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over = true; c.stop != nil {
		c.stop()
	}
}

// start returns the context with a timer. Callers hold mu.
func (c *verifyContext) start() context.Context {
	if c.timed == nil {
		c.timed, c.stop = context.WithDeadline(c.parent, c.deadline)
		if c.over {
			c.stop()
		}
	}
	return c.timed
}

// Deadline implements [context.Context].
func (c *verifyContext) Deadline() (time.Time, bool) { return c.deadline, true }

// String is what a context is printed as: never what is in it.
func (c *verifyContext) String() string { return "usher.Limits.Verify" }

// Done implements [context.Context].
func (c *verifyContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.start().Done()
}

// Err implements [context.Context].
func (c *verifyContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timed != nil || c.over || c.parent.Err() != nil || !time.Now().Before(c.deadline) {
		return c.start().Err() // It stays what it is now.
	}
	return nil
}

// Value implements [context.Context]. Once there is a timer it is asked, since
// package context looks there for whom to tell of the end.
func (c *verifyContext) Value(key any) any {
	c.mu.Lock()
	timed := c.timed
	c.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return c.parent.Value(key)
}
