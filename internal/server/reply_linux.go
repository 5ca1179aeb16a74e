package server

import (
	"bufio"
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"time"
)

// A reply is the [http.ResponseWriter] of a plain handshake. Who takes the
// connection over, as a 101 does, gets it as it is. For any other answer net/http
// reads the request once more, writes that answer, and serves what may follow on
// the connection.
type reply struct {
	arrival *arrival
	ctx     *requestContext // Lasts for longer: with the connection that was taken over.
	early   []byte          // What came behind the request.
	header  http.Header
	taken   bool
	std     http.ResponseWriter // Net/http's. Nil until it has the connection.
	left    *leftover           // Nil too.
	loan    *loan               // Nil too.
}

// Header implements [http.ResponseWriter].
func (r *reply) Header() http.Header { return r.header }

// WriteHeader implements [http.ResponseWriter].
func (r *reply) WriteHeader(status int) { r.Unwrap().WriteHeader(status) }

// Write implements [http.ResponseWriter].
func (r *reply) Write(p []byte) (int, error) { return r.Unwrap().Write(p) }

// Unwrap returns net/http's own reply, for [http.ResponseController].
func (r *reply) Unwrap() http.ResponseWriter {
	if r.taken {
		return goneReply{make(http.Header), http.ErrHijacked}
	}
	if r.std == nil {
		r.std = r.borrow()
	}
	h := r.std.Header()
	clear(h)
	maps.Copy(h, r.header)
	return r.std
}

// Take takes the connection over, with what has come on it: for who needs no
// buffers. It cannot once something was answered.
func (r *reply) Take() (c net.Conn, early []byte, ok bool) {
	if r.taken || r.std != nil {
		return nil, nil, false
	}
	r.taken = true
	r.ctx.loosen()
	r.arrival.free() // The handler may go on for as long as the connection.
	early, r.early = r.early, nil
	return r.arrival.conn, early, true
}

// Hijack implements [http.Hijacker].
func (r *reply) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, early, ok := r.Take()
	switch {
	case !ok && r.std != nil:
		return http.NewResponseController(r.std).Hijack()
	case !ok:
		return nil, nil, http.ErrHijacked
	}
	rd := bufio.NewReaderSize(io.MultiReader(bytes.NewReader(early), c), max(len(early), 4<<10))
	_, err := rd.Peek(len(early)) // Callers look at what is buffered.
	return c, bufio.NewReadWriter(rd, bufio.NewWriter(c)), err
}

// SetReadDeadline is for [http.ResponseController].
func (r *reply) SetReadDeadline(t time.Time) error { return r.arrival.conn.SetReadDeadline(t) }

// SetWriteDeadline is for [http.ResponseController].
func (r *reply) SetWriteDeadline(t time.Time) error { return r.arrival.conn.SetWriteDeadline(t) }

// borrow has net/http read the request once more, and returns its reply.
func (r *reply) borrow() http.ResponseWriter {
	r.ctx.loosen()
	r.loan = newLoan(r.ctx)
	r.left = r.arrival.at.give(r.arrival.leftover(r.loan))
	select {
	case std := <-r.loan.reply:
		return std
	case <-r.left.gone:
		return goneReply{make(http.Header), net.ErrClosed}
	}
}

// over ends the reply, after which the handler has nothing to say any more: it has
// returned, or panicked.
func (r *reply) over(panicked bool) {
	r.ctx.end()
	switch {
	case r.taken:
		return
	case panicked && r.std == nil: // As net/http does.
		_ = r.arrival.conn.Close()
		return
	case !panicked:
		r.Unwrap() // There may be nothing in the answer.
	}
	r.loan.over <- panicked
	r.left.rest()
}

// A goneReply is the reply on a connection that is not there any more.
type goneReply struct {
	header http.Header
	err    error
}

// Header implements [http.ResponseWriter].
func (g goneReply) Header() http.Header { return g.header }

// WriteHeader implements [http.ResponseWriter].
func (goneReply) WriteHeader(int) {}

// Write implements [http.ResponseWriter].
func (g goneReply) Write([]byte) (int, error) { return 0, g.err }
