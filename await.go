package usher

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"github.com/gobwas/ws"
)

// maxControls bounds the control frames that a client may send before its
// first message.
const maxControls = 16

// await answers the upgrade, waits for the first message and judges it; after
// a yes it calls next. The socket takes a place in the waiting room until then.
func (g *guardState) await(w http.ResponseWriter, r *http.Request, v *visit, cut *cutting, l *lease, next http.Handler) {
	if err := g.room.enter(v.client); err != nil {
		g.refuse(w, r, v, cut.offer, refusalFor(err))
		return
	}
	waiting := true
	leave := func() {
		if waiting {
			waiting = false
			g.room.leave(v.client)
		}
	}
	defer leave()
	c, buf, err := hijack(w)
	if err != nil {
		g.refusePlain(w, refusalFor(errors.Join(errFault, err)))
		return
	}
	buf = c.buffers(buf)
	seated := false
	defer func() {
		if !seated { // Also if the verifier panics: net/http leaves c open.
			leave()
			_ = c.Close()
		}
	}()
	limit := time.Now().Add(g.limits.FirstMessage)
	_ = c.SetDeadline(limit)
	selected := selectFrom(cut.offer, g.subprotocols)
	if err := answer(c, r, selected); err != nil {
		return
	}
	yes, err := g.hear(r.Context(), c, buf.Reader, v, cut)
	if err != nil {
		if errors.Is(err, errGone) {
			return
		}
		why := asRefusal(err)
		why.Carrier = carrierFirstMessage
		g.reportRefusal(r.Context(), v, why)
		c.end(why)
		return
	}
	_ = c.SetDeadline(time.Time{})
	leave()
	seated = true
	g.seat(r, v, &yes, l, c, buf, selected, next)
}

// seat calls the handler for a connection that the Guard has answered itself.
func (g *guardState) seat(r *http.Request, v *visit, yes *verdict, l *lease, c *conn, buf *bufio.ReadWriter, selected string, next http.Handler) {
	r.Header.Del("Sec-Websocket-Extensions")
	r.Header.Del("Sec-Websocket-Protocol")
	if selected != "" {
		r.Header.Set("Sec-Websocket-Protocol", selected)
	}
	buf.Reader.Reset(c)
	buf.Writer.Reset(c)
	if err := g.admit(l, yes); err != nil {
		why := l.refused(err)
		g.reportRefusal(r.Context(), v, why)
		c.end(why)
		l.release()
		return
	}
	if err := l.attach(c); err != nil {
		c.end(asRefusal(err)) // Which may be that of a drain.
		l.release()
		return
	}
	l.begin()
	if yes.ack { // Now that it is true.
		c.interject(ackFrame(yes.identity))
	}
	sw := &swallowWriter{header: make(http.Header), selected: selected, conn: c, buf: buf, lease: l}
	handle := func() {
		panicked := true
		defer func() {
			if panicked {
				l.end(refusalFor(errPanicked))
				return
			}
			sw.over()
		}()
		next.ServeHTTP(sw, r)
		panicked = false
	}
	if g.detach {
		l.ctx.loosen(next)
		g.detached(next, handle)
	} else {
		handle()
	}
}

var errPanicked = fmt.Errorf("%w: handler panicked", errFault)

// errGone: the client closed, or broke off, before its first message. Nobody is
// left to be told.
var errGone = errors.New("client gone before its first message")

// hear reads the first message and judges it. What browsers attached to the
// handshake did not decide, and may still belong to another subject.
func (g *guardState) hear(ctx context.Context, c *conn, rd *bufio.Reader, v *visit, cut *cutting) (verdict, error) {
	rd.Reset(readerFunc(c.readEarly))
	payload, err := readMessage(c, rd)
	if err != nil {
		return verdict{}, err
	}
	m, err := g.first.form.parse(payload)
	if err != nil {
		return verdict{}, err
	}
	by := g.candidateOf(m, v)
	yes := verdict{by: &by}
	if yes.identity, err = g.verify(ctx, yes.by); err != nil {
		return yes, err
	}
	_, ambient := g.extract.find(cut, v)
	if err := g.sameSubject(ctx, yes.identity, ambient); err != nil {
		return yes, err
	}
	yes.ack = m.ack
	// What came right behind the message is the handler's.
	rest, err := rd.Peek(rd.Buffered())
	if err != nil {
		return yes, err
	}
	c.unread(rest)
	return yes, nil
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// readMessage reads one text frame, and answers pings until it comes.
func readMessage(c *conn, rd *bufio.Reader) ([]byte, error) {
	for range maxControls {
		h, err := ws.ReadHeader(rd)
		if err != nil {
			return nil, readError(err)
		}
		if !h.Masked || h.Rsv != 0 || h.OpCode.IsReserved() ||
			(h.OpCode.IsControl() && (!h.Fin || h.Length > 125)) {
			return nil, ErrProtocol // RFC 6455 §5.1, §5.2, §5.5
		}
		if !h.Fin || h.Length > maxMessage {
			return nil, errNoAuthMessage
		}
		payload := make([]byte, h.Length)
		if _, err := io.ReadFull(rd, payload); err != nil {
			return nil, readError(err)
		}
		ws.Cipher(payload, h.Mask, 0)
		switch h.OpCode {
		case ws.OpText:
			return payload, nil
		case ws.OpPing:
			if err := c.writeFrame(ws.MustCompileFrame(ws.NewPongFrame(payload))); err != nil {
				return nil, readError(err) // Whoever does not take pongs is late too.
			}
		case ws.OpPong:
		case ws.OpClose:
			_ = c.writeFrame(ws.MustCompileFrame(ws.NewCloseFrame(nil)))
			return nil, errGone
		default:
			return nil, errNoAuthMessage
		}
	}
	return nil, errNoAuthMessage
}

func readError(err error) error {
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return errTimeout
	case errors.Is(err, ws.ErrHeaderLengthMSB), errors.Is(err, ws.ErrHeaderLengthUnexpected):
		return ErrProtocol
	}
	return errGone
}
