package usher

import (
	"context"
	"net/http"
	"runtime/debug"
)

// serveDetached runs handle, which answers an upgrade by uw, in a goroutine of
// its own, and returns when the handler has taken the connection over or is
// done. See [Guard.Detach].
func (g *guardState) serveDetached(uw *upgradeWriter, handle func()) {
	taken, done := make(chan struct{}), make(chan any, 1)
	uw.taken = taken
	l := uw.lease
	go func() {
		returned := false
		defer func() {
			var p any
			if !returned {
				p = recover()
			}
			select {
			case <-taken: // Nobody waits any more.
				g.logPanic(p)
			default:
				done <- p
			}
		}()
		handle()
		returned = true
	}()
	select {
	case <-taken:
		l.untie()
	case p := <-done:
		if p != nil {
			panic(p) // As it does where the handler runs here.
		}
	}
}

// detached runs f, which serves a connection that was taken over, in a goroutine
// of its own.
func (g *guardState) detached(f func()) {
	go func() {
		defer func() { g.logPanic(recover()) }()
		f()
	}()
}

// logPanic logs what a handler panicked with, as net/http does where it calls
// the handler.
func (g *guardState) logPanic(p any) {
	if p != nil && p != http.ErrAbortHandler { //nolint:errorlint // A panic's value, as net/http compares it.
		g.log.Error("handler panicked", "panic", p, "stack", string(debug.Stack()))
	}
}

// untied returns a context with the values of parent, that ends with parent only
// until untie is called.
func untied(parent context.Context) (ctx context.Context, cancel context.CancelCauseFunc, untie func() bool) {
	ctx, cancel = context.WithCancelCause(context.WithoutCancel(parent))
	untie = context.AfterFunc(parent, func() { cancel(context.Cause(parent)) })
	return ctx, cancel, untie
}
