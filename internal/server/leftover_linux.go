package server

import (
	"context"
	"net/http"
	"sync"
	"syscall"
	"time"

	"github.com/usher-ws/usher/internal/socket"
)

// A leftover is a connection that is left to net/http, of which something was
// read: it gives that first.
type leftover struct {
	*socket.Conn
	early []byte
	limit time.Time // For the head of the request, instead of what net/http sets.
	loan  *loan     // Nil unless the request has a handler already.

	late bool // Its server has nothing else to serve.
	end  sync.Once
	gone chan struct{} // Closed by Close.
}

// Read implements [net.Conn].
func (l *leftover) Read(p []byte) (int, error) {
	if len(l.early) == 0 {
		return l.Conn.Read(p)
	}
	n := copy(p, l.early)
	if l.early = l.early[n:]; len(l.early) == 0 {
		l.early = nil
	}
	return n, nil
}

// Raw returns the socket, or nil while it does not have all that was sent.
func (l *leftover) Raw() syscall.RawConn {
	if len(l.early) > 0 {
		return nil
	}
	return l.Conn.Raw()
}

// SetReadDeadline implements [net.Conn]. The first one is for the head, whose time
// has begun before.
func (l *leftover) SetReadDeadline(t time.Time) error {
	if !l.limit.IsZero() && t.After(l.limit) {
		t = l.limit
	}
	l.limit = time.Time{}
	return l.Conn.SetReadDeadline(t)
}

// Close implements [net.Conn].
func (l *leftover) Close() error {
	l.end.Do(func() { close(l.gone) })
	return l.Conn.Close()
}

// rest returns when nobody has to wait for the connection but its server.
func (l *leftover) rest() {
	if l.late {
		<-l.gone
	}
}

// A loan is a reply of net/http in the hands of a handler that runs already.
type loan struct {
	ctx   *requestContext
	reply chan http.ResponseWriter
	over  chan bool // Whether the handler has panicked.
}

func newLoan(ctx *requestContext) *loan {
	return &loan{ctx, make(chan http.ResponseWriter, 1), make(chan bool, 1)}
}

// lend gives the reply to the request's handler, where the request is the first of
// a connection and has one already, and reports whether it is that.
func lend(w http.ResponseWriter, r *http.Request) bool {
	one, _ := r.Context().Value(connKey{}).(*visitor)
	if one == nil {
		return false
	}
	l, _ := one.conn.(*leftover)
	if l == nil || l.loan == nil {
		return false
	}
	to := l.loan
	l.loan = nil
	defer context.AfterFunc(r.Context(), to.ctx.end)()
	to.reply <- w
	if <-to.over { // Which is in the log.
		panic(http.ErrAbortHandler)
	}
	return true
}
