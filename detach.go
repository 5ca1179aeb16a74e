package usher

import (
	"net/http"
	"runtime/debug"
)

// An elsewhere is a handler that serves a connection in goroutines of its own and
// returns as soon as it has taken that over, as the gateway's tunnel does. One
// more for it would be for nothing. Of the context it asks for the end and the
// identity from then on, and for nothing that a server has put there.
type elsewhere interface{ ServesElsewhere() }

func isElsewhere(h http.Handler) bool {
	_, ok := h.(elsewhere)
	return ok
}

// serveDetached runs handle, which answers an upgrade by uw and next, in a
// goroutine of its own, and returns when the handler has taken the connection
// over or is done. See [Guard.Detach].
func (g *guardState) serveDetached(uw *upgradeWriter, next http.Handler, handle func()) {
	if isElsewhere(next) {
		uw.loosens = next
		handle()
		return
	}
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
		l.ctx.loosen(next)
	case p := <-done:
		if p != nil {
			panic(p) // As it does where the handler runs here.
		}
	}
}

// detached runs f, which serves a connection that was taken over by next, in a
// goroutine of its own.
func (g *guardState) detached(next http.Handler, f func()) {
	if isElsewhere(next) {
		f()
		return
	}
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
