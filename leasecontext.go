package usher

import (
	"context"
	"net/http"
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
	loose    bool            // It does not end with the parent.
	parent   context.Context // Nil once nobody asks for its values.
	unfollow func() bool     // Of the parent. Nil until it is followed.
	done     chan struct{}   // Nil until somebody asks.
	hooks    *hook           // Of AfterFunc, the newest.
	over     *ending         // Nil until the end.
}

// A hook is a function of AfterFunc.
type hook struct {
	f    func()
	next *hook
}

// An ending is how a context has ended.
type ending struct{ err, cause error }

// begin makes the context ready.
func (c *leaseContext) begin(parent context.Context, l *lease) { c.lease, c.parent = l, parent }

// loosen lets the context live on after its parent has ended, unless it has. A
// handler that is an elsewhere asks for none of the parent's values any more, and
// a server need not keep them for it.
func (c *leaseContext) loosen(next http.Handler) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.look()
	c.loose = true
	if c.unfollow != nil {
		c.unfollow()
		c.unfollow = nil
	}
	if isElsewhere(next) {
		c.parent = nil
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
	if c.over != nil {
		return
	}
	c.over = &ending{err, cause}
	if c.done != nil {
		close(c.done)
	}
	if c.unfollow != nil {
		c.unfollow()
	}
	for h := c.hooks; h != nil; h = h.next {
		go h.f()
	}
	c.hooks, c.unfollow = nil, nil
}

// look ends the context if its parent has ended. Callers hold mu.
func (c *leaseContext) look() {
	if c.over == nil && !c.loose && c.parent.Err() != nil {
		c.finish(c.parent.Err(), context.Cause(c.parent))
	}
}

// follow has the end of the parent noticed from now on. Callers hold mu.
func (c *leaseContext) follow() {
	if c.look(); c.over != nil || c.loose || c.unfollow != nil {
		return
	}
	after := func(f func()) func() bool { return context.AfterFunc(c.parent, f) }
	if own, ok := c.parent.(interface{ AfterFunc(f func()) func() bool }); ok {
		after = own.AfterFunc // Without a context in between.
	}
	c.unfollow = after(func() {
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
	if c.loose || c.lease.detaches() {
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
		if c.over != nil {
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
	if c.look(); c.over == nil {
		return nil
	}
	return c.over.err
}

// Value implements [context.Context].
func (c *leaseContext) Value(key any) any {
	if key == (identityKey{}) {
		return c.lease
	}
	c.mu.Lock()
	c.look()
	over, parent := c.over, c.parent
	c.mu.Unlock()
	values := context.Background()
	if parent != nil {
		values = context.WithoutCancel(parent)
	}
	if over == nil {
		return values.Value(key)
	}
	// In the values of one of its own contexts [context.Cause] finds the cause.
	ended, cancel := context.WithCancelCause(values)
	cancel(over.cause)
	return ended.Value(key)
}

// AfterFunc is what [context.AfterFunc] uses where a context has it.
func (c *leaseContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.follow(); c.over != nil {
		go f()
		return func() bool { return false }
	}
	h := &hook{f, c.hooks}
	c.hooks = h
	return func() bool { return c.unhook(h) }
}

// unhook takes a function back, unless it was called. It reports whether it has.
func (c *leaseContext) unhook(h *hook) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for at := &c.hooks; *at != nil; at = &(*at).next {
		if *at == h {
			*at = h.next
			return true
		}
	}
	return false
}
