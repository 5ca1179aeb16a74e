package server

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A requestContext is the context of a plain handshake. It ends when its client
// goes, or has been served. That the client goes is looked for only while somebody
// wants to know, and every now and then.
type requestContext struct {
	arrival *arrival // Immutable.

	mu sync.Mutex
	// Guarded by mu.
	err   error
	done  chan struct{} // Nil until somebody asks.
	hooks []*func()     // Of AfterFunc.

	// Guarded by the mu of the watch.
	watched, loose bool
	before, after  *requestContext
}

// end ends the context.
func (c *requestContext) end() {
	c.mu.Lock()
	if c.err == nil {
		c.err = context.Canceled
		if c.done != nil {
			close(c.done)
		}
		for _, f := range c.hooks {
			go (*f)()
		}
		c.hooks = nil
	}
	c.mu.Unlock()
	c.loosen()
}

// String is what a context is printed as: never what is in it.
func (c *requestContext) String() string { return "server.arrival.Context" }

// Deadline implements [context.Context].
func (c *requestContext) Deadline() (time.Time, bool) { return time.Time{}, false }

// Err implements [context.Context].
func (c *requestContext) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Value implements [context.Context].
func (c *requestContext) Value(key any) any {
	switch key {
	case connKey{}:
		return c.arrival.visitor
	case http.LocalAddrContextKey:
		return c.arrival.conn.LocalAddr()
	case http.ServerContextKey:
		return c.arrival.at.server
	}
	return nil
}

// Done implements [context.Context].
func (c *requestContext) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.done == nil {
		c.done = make(chan struct{})
		if c.err != nil {
			close(c.done)
		} else {
			c.arrival.at.watch.add(c)
		}
	}
	return c.done
}

// AfterFunc is what [context.AfterFunc] uses where a context has it.
func (c *requestContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		go f()
		return func() bool { return false }
	}
	hook := &f
	c.hooks = append(c.hooks, hook)
	c.arrival.at.watch.add(c)
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

// loosen has nobody look for the client any more, from now on.
func (c *requestContext) loosen() { c.arrival.at.watch.remove(c) }

// watchEvery is how often clients are looked for.
const watchEvery = 100 * time.Millisecond

// A watch sees which clients go while they are served: most are served before it
// looks. The zero value is ready.
type watch struct {
	mu sync.Mutex
	// Guarded by mu.
	first *requestContext
	armed bool // It will look.
}

// add watches the client of c. Callers may hold its mu.
func (w *watch) add(c *requestContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if c.watched || c.loose {
		return
	}
	c.watched = true
	if c.after = w.first; c.after != nil {
		c.after.before = c
	}
	w.first = c
	if !w.armed {
		w.armed = true
		time.AfterFunc(watchEvery, w.look)
	}
}

// remove sees to it that the client of c is not watched any more.
func (w *watch) remove(c *requestContext) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c.loose = true
	if !c.watched {
		return
	}
	c.watched = false
	if c.before != nil {
		c.before.after = c.after
	} else {
		w.first = c.after
	}
	if c.after != nil {
		c.after.before = c.before
	}
	c.before, c.after = nil, nil
}

// look ends the contexts of the clients that have gone.
func (w *watch) look() {
	w.mu.Lock()
	var list []*requestContext
	for c := w.first; c != nil; c = c.after {
		list = append(list, c)
	}
	if w.armed = len(list) > 0; w.armed {
		time.AfterFunc(watchEvery, w.look)
	}
	w.mu.Unlock()
	for _, c := range list {
		if c.arrival.conn.Gone() {
			c.end()
		}
	}
}
