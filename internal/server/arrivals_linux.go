package server

import (
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/socket"
)

// arrivals are the connections of the public listener until their first request is
// read. A plain WebSocket handshake is served at once. All else goes to net/http,
// with what was read of it: arrivals is the listener of that.
//
// What net/http has for each connection, two goroutines, buffers and deadlines, is
// of no use to a handshake: it is the only request of its connection. All of it
// together was a third of what a connect through the gateway takes.
type arrivals struct {
	listener *socket.Listener
	server   *http.Server
	visitors *visitors
	crew     *crew
	serve    http.HandlerFunc // For plain handshakes.
	watch    watch

	others chan net.Conn
	failed chan error
	closed chan struct{}
	shut   func() error
}

// listenPlain listens for connections that receive takes.
func listenPlain(address string) (net.Listener, error) {
	l, err := socket.Listen(address)
	if err != nil {
		return nil, err
	}
	return l, nil
}

// receive returns the listener for srv, and what accepts for it, where l is not
// that itself.
func (s *Server) receive(l net.Listener, srv *http.Server) (net.Listener, func()) {
	plain, ok := l.(*socket.Listener)
	if !ok {
		return l, func() {}
	}
	a := newArrivals(plain, srv, func(w http.ResponseWriter, r *http.Request) { s.site.Load().ServeHTTP(w, r) })
	a.visitors, a.crew = &s.visitors, s.crew
	return a, a.run
}

// newArrivals returns the arrivals of l.
func newArrivals(l *socket.Listener, server *http.Server, serve http.HandlerFunc) *arrivals {
	a := &arrivals{
		listener: l, server: server, serve: serve,
		others: make(chan net.Conn), failed: make(chan error), closed: make(chan struct{}),
	}
	a.shut = sync.OnceValue(func() error {
		close(a.closed)
		return l.Close()
	})
	return a
}

// run accepts until Close.
func (a *arrivals) run() {
	for {
		c, err := a.listener.AcceptConn()
		if err == nil {
			a.arrived(c)
			continue
		}
		select { // net/http knows what to do: it logs, waits and comes again.
		case a.failed <- err:
		case <-a.closed:
			return
		}
	}
}

// arrived serves a connection.
func (a *arrivals) arrived(c *socket.Conn) {
	one := &arrival{at: a, conn: c, visitor: &visitor{conn: c, silent: true}, begun: time.Now()}
	a.visitors.let(one.visitor)
	select {
	case <-a.closed: // It may be too late for it to be cut.
		_ = c.Close()
	default:
	}
	a.crew.start(one.serve)
}

// Accept returns the next connection that is not served at once.
func (a *arrivals) Accept() (net.Conn, error) {
	select {
	case c := <-a.others:
		return c, nil
	case err := <-a.failed:
		return nil, err
	case <-a.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. Connections that have arrived stay.
func (a *arrivals) Close() error { return a.shut() }

// Addr is the listener's.
func (a *arrivals) Addr() net.Addr { return a.listener.Addr() }

// give leaves a connection to net/http. After Close, which is when the server is
// being shut down and takes no more, it has one of its own, for one request.
func (a *arrivals) give(l *leftover) *leftover {
	select {
	case a.others <- l:
		return l
	case <-a.closed:
	}
	l.late = true
	srv := &http.Server{
		Handler: a.server.Handler, ConnContext: a.server.ConnContext, ErrorLog: a.server.ErrorLog, Protocols: a.server.Protocols,
		ReadHeaderTimeout: a.server.ReadHeaderTimeout, MaxHeaderBytes: a.server.MaxHeaderBytes,
	}
	srv.SetKeepAlivesEnabled(false)
	_ = srv.Serve(&lone{l, l.LocalAddr()}) // Which returns as soon as it has taken it.
	return l
}

// A lone is the listener of one connection.
type lone struct {
	conn net.Conn // Nil once it is accepted.
	addr net.Addr
}

// Accept implements [net.Listener].
func (l *lone) Accept() (net.Conn, error) {
	if l.conn == nil {
		return nil, net.ErrClosed
	}
	c := l.conn
	l.conn = nil
	return c, nil
}

// Close implements [net.Listener].
func (*lone) Close() error { return nil }

// Addr implements [net.Listener].
func (l *lone) Addr() net.Addr { return l.addr }
