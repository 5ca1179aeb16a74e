package usher

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A leaseContext is the context of a request whose credential was admitted, and
// ends with the lease that it is a part of. Until loosen is called it also ends
// with the request's own. It does what contexts of package context would do that
// stand on each other, and costs nothing where nobody asks for its end: there is
// one for each connection, for as long as that lives.
type leaseContext struct {
	lease *lease // Immutable.

	mu sync.Mutex
	// Guarded by mu.
	values   context.Context // The parent, without its end.
	parent   context.Context // Nil once the context is loose.
	unfollow func() bool     // Of the parent. Nil until it is followed.
	done     chan struct{}   // Nil until somebody asks.
	hooks    []*func()       // Of AfterFunc.
	err      error           // Nil until the end.
	cause    error
}

// begin makes the context ready.
func (c *leaseContext) begin(parent context.Context, l *lease) {
	c.lease, c.parent, c.values = l, parent, context.WithoutCancel(parent)
}

// loosen lets the context live on after its parent has ended, unless it has. A
// handler that is an elsewhere asks for none of the parent's values any more, and
// a server need not keep them for it.
func (c *leaseContext) loosen(next http.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	c.parent = nil
	if c.unfollow != nil {
		c.unfollow()
		c.unfollow = nil
	}
	if isElsewhere(next) {
		c.values = context.Background()
	}
}

// end ends the context.
func (c *leaseContext) end(cause error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.finish(context.Canceled, cause)
}

// finish is end for those who hold mu.
func (c *leaseContext) finish(err, cause error) {
	if c.err != nil {
		return
	}
	c.err, c.cause = err, cause
	if c.done != nil {
		close(c.done)
	}
	if c.unfollow != nil {
		c.unfollow()
	}
	for _, f := range c.hooks {
		go (*f)()
	}
	c.hooks, c.unfollow = nil, nil
}

// look ends the context if its parent has ended. Callers hold mu.
func (c *leaseContext) look() {
	if c.err == nil && c.parent != nil && c.parent.Err() != nil {
		c.finish(c.parent.Err(), context.Cause(c.parent))
	}
}

// follow has the end of the parent noticed from now on. Callers hold mu.
func (c *leaseContext) follow() {
	if c.look(); c.err != nil || c.parent == nil || c.unfollow != nil {
		return
	}
	c.unfollow = context.AfterFunc(c.parent, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.look()
	})
}

// Deadline implements [context.Context]. What a server puts around a handler is
// no deadline of a connection that is taken over.
func (c *leaseContext) Deadline() (deadline time.Time, ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.parent == nil || c.lease.detaches() {
		return time.Time{}, false
	}
	return c.parent.Deadline()
}

// String is what a context is printed as: never what is in it.
func (c *leaseContext) String() string { return "usher.Guard.Context" }

// Done implements [context.Context].
func (c *leaseContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		}
		c.follow()
	}
	return c.done
}

// Err implements [context.Context].
func (c *leaseContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	return c.err
}

// Value implements [context.Context].
func (c *leaseContext) Value(key any) any {
	if key == (identityKey{}) {
		return c.lease
	}
	c.mu.Lock()
	c.look()
	ended, cause, values := c.err != nil, c.cause, c.values
	c.mu.Unlock()
	if !ended {
		return values.Value(key)
	}
	// In the values of one of its own contexts [context.Cause] finds the cause.
	over, cancel := context.WithCancelCause(values)
	cancel(cause)
	return over.Value(key)
}

// AfterFunc is what [context.AfterFunc] uses where a context has it.
func (c *leaseContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.follow(); c.err != nil {
		go f()
		return func() bool { return false }
	}
	hook := &f
	c.hooks = append(c.hooks, hook)
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		i := slices.Index(c.hooks, hook)
		if i < 0 {
			return false
		}
		c.hooks = slices.Delete(c.hooks, i, i+1)
		return true
	}
}
