package usher

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"
)

// A plainWriter answers an admitted request that is no upgrade. It can be
// flushed, but not hijacked, and has no Unwrap by which somebody could.
type plainWriter struct {
	http.ResponseWriter
	ctx context.Context // Ends with the identity; of one request, as the writer is.
}

// Write fails once the identity has ended, for answers that go on for long.
func (w *plainWriter) Write(p []byte) (int, error) {
	if w.ctx.Err() != nil {
		return 0, context.Cause(w.ctx)
	}
	return w.ResponseWriter.Write(p)
}

// Flush sends what was written so far.
func (w *plainWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for [http.ResponseController].
func (w *plainWriter) FlushError() error {
	if w.ctx.Err() != nil {
		return context.Cause(w.ctx)
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// SetReadDeadline is for [http.ResponseController].
func (w *plainWriter) SetReadDeadline(t time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetReadDeadline(t)
}

// SetWriteDeadline is for [http.ResponseController].
func (w *plainWriter) SetWriteDeadline(t time.Time) error {
	return http.NewResponseController(w.ResponseWriter).SetWriteDeadline(t)
}

// EnableFullDuplex is for [http.ResponseController].
func (w *plainWriter) EnableFullDuplex() error {
	return http.NewResponseController(w.ResponseWriter).EnableFullDuplex()
}

// An upgradeWriter answers an admitted handshake. What the handler hijacks is a
// conn.
type upgradeWriter struct {
	plainWriter
	lease    *lease
	late     *lateMessage
	switched bool          // The handler wrote 101 by WriteHeader: frames follow at once.
	taken    chan struct{} // Closed by Hijack. Nil unless somebody waits for it.
	loosens  http.Handler  // An elsewhere, whose context Hijack loosens. Nil for others.
}

// handle calls next, and lets go of a connection that it did not take over.
func (w *upgradeWriter) handle(r *http.Request, next http.Handler) {
	returned := false
	defer func() {
		if !returned {
			w.lease.end(refusalFor(errPanicked))
		}
		if !w.lease.attached() {
			w.lease.release()
		}
	}()
	next.ServeHTTP(w, r)
	returned = true
}

// WriteHeader notes an answer that comes before Hijack.
func (w *upgradeWriter) WriteHeader(status int) {
	w.switched = w.switched || status == http.StatusSwitchingProtocols
	w.ResponseWriter.WriteHeader(status)
}

// Hijack gives the handler the connection. The reader it returns has nothing
// buffered: all that the client has sent comes through the connection.
func (w *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	c, buf, err := hijack(w.ResponseWriter)
	if err != nil {
		return nil, nil, err
	}
	buf = c.buffers(buf)
	if !w.switched {
		c.head = wholeHead
	}
	if err := w.take(c); err != nil {
		return nil, nil, err
	}
	return c, buf, nil
}

// Switch answers with the head of a 101, with its empty line, and takes the
// connection over. It is what WriteHeader and Hijack do for handlers that know of
// it: the gateway. net/http needs twice the stack to write a head.
func (w *upgradeWriter) Switch(head []byte) (net.Conn, error) {
	c, _, err := hijack(w.ResponseWriter)
	if err != nil {
		return nil, err
	}
	_ = c.raw.SetWriteDeadline(time.Now().Add(lingerTime)) // Nobody could end it yet.
	_, err = c.raw.Write(head)
	_ = c.raw.SetWriteDeadline(time.Time{})
	if err == nil {
		err = w.take(c)
	} else {
		_ = c.Close()
	}
	return c, err
}

// take gives the lease the connection.
func (w *upgradeWriter) take(c *conn) error {
	c.late = w.late
	if err := w.lease.attach(c); err != nil {
		c.end(asRefusal(err)) // At once, unless the handler has answered 101.
		return err
	}
	w.ResponseWriter = goneWriter{w.Header()} // It would hold the server's buffers.
	if w.loosens != nil {
		w.lease.ctx.loosen(w.loosens)
	}
	if w.taken != nil {
		close(w.taken)
	}
	return nil
}

// A goneWriter is what is left of a ResponseWriter whose connection was taken
// over.
type goneWriter struct{ header http.Header }

// Header returns the header as it was: a handler may make its answer of it.
func (w goneWriter) Header() http.Header { return w.header }

// WriteHeader does nothing.
func (goneWriter) WriteHeader(int) {}

// Write fails.
func (goneWriter) Write([]byte) (int, error) { return 0, http.ErrHijacked }

// Hijack fails.
func (goneWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) { return nil, nil, http.ErrHijacked }

// hijack takes the connection over from the server, with the server's buffers if
// it has any.
func hijack(w http.ResponseWriter) (*conn, *bufio.ReadWriter, error) {
	if plain, ok := w.(interface {
		Take() (c net.Conn, early []byte, ok bool)
	}); ok {
		if raw, early, ok := plain.Take(); ok {
			return newConn(raw, early), nil, nil
		}
	}
	raw, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, nil, err
	}
	early, err := buf.Reader.Peek(buf.Reader.Buffered())
	if err != nil {
		_ = raw.Close()
		return nil, nil, err
	}
	return newConn(raw, early), buf, nil
}

// buffers returns buffers that read and write through c: those of a server, or new
// ones.
func (c *conn) buffers(of *bufio.ReadWriter) *bufio.ReadWriter {
	if of == nil {
		return bufio.NewReadWriter(bufio.NewReader(c), bufio.NewWriter(c))
	}
	of.Reader.Reset(c)
	of.Writer.Reset(c)
	return of
}

// A swallowWriter stands for the answer to a handshake that the Guard has
// answered already: the handler's own is read, and goes nowhere.
type swallowWriter struct {
	header   http.Header
	status   int // 0 until the handler said one.
	selected string
	conn     *conn
	buf      *bufio.ReadWriter
	lease    *lease
	hijacked bool
}

// Header returns the header of the answer that is swallowed.
func (w *swallowWriter) Header() http.Header { return w.header }

// WriteHeader notes the status.
func (w *swallowWriter) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
}

// Write swallows the body.
func (w *swallowWriter) Write(p []byte) (int, error) {
	if w.hijacked {
		return 0, http.ErrHijacked
	}
	w.WriteHeader(http.StatusOK)
	return len(p), nil
}

// Hijack gives the handler the connection on which the client already has its
// answer.
func (w *swallowWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	if w.hijacked {
		return nil, nil, http.ErrHijacked
	}
	head := &answerHead{swallow: true, selected: w.selected}
	if w.status != 0 { // The handler answered by WriteHeader: nothing follows but frames.
		if err := head.agrees(w.status, w.header); err != nil {
			w.lease.endLater(refusalFor(err))
			return nil, nil, err
		}
	} else {
		head.disagree = func(err error) { w.lease.endLater(refusalFor(err)) }
		w.conn.wmu.Lock()
		w.conn.head = head
		w.conn.wmu.Unlock()
	}
	w.hijacked = true
	buf := w.buf
	w.buf = nil // It is the handler's to keep.
	return w.conn, buf, nil
}

// over is called when the handler is done. One that did not take the
// connection has refused it.
func (w *swallowWriter) over() {
	if w.hijacked {
		return
	}
	status := w.status
	if status == 0 {
		status = http.StatusOK
	}
	w.lease.end(refusalFor(handlerRefusal(status)))
}
