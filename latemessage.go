package usher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"

	"github.com/gobwas/ws"
)

// A lateMessage looks at the first message of a connection that was admitted by
// another carrier, on a Guard that takes first messages too. If it is one, it is
// a second credential: it is judged, and kept from the handler. Everything else
// is the handler's, also the pings and pongs that come before it.
type lateMessage struct {
	guard *guardState
	visit visit
	lease *lease
	ctx   context.Context // The request's without its end, for the verifier.
	pass  int             // Bytes at the front of conn.early that are the handler's.
}

// look reads the first frame if it could be such a message. Callers hold rmu. A
// read that the handler's deadline has ended leaves what came in c.early, and
// the next look goes on from there.
func (l *lateMessage) look(c *conn) error {
	for l.pass == 0 {
		op, payload, n, more := firstFrame(c.early)
		switch {
		case more:
		case op == opPing, op == opPong:
			l.pass = n
			return nil
		case op == opText:
			c.late = nil
			return l.judge(c, payload, n)
		default:
			c.late = nil
			return nil
		}
		var buf [4 << 10]byte
		read, err := c.raw.Read(buf[:])
		c.in.follow(buf[:read])
		c.early = append(c.early, buf[:read]...)
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return err
		case err != nil: // The handler reads what there is, and then the error.
			c.late = nil
			return nil //nolint:nilerr // As just said.
		}
	}
	return nil
}

// firstFrame returns the opcode and the unmasked payload of the text, ping or
// pong at the front of b, and its size with its head. It wants more as long as
// such a frame could become whole; without an opcode it is something else.
func firstFrame(b []byte) (op byte, payload []byte, n int, more bool) {
	if len(b) == 0 {
		return 0, nil, 0, true
	}
	longest := uint64(maxMessage)
	switch b[0] {
	case 0x80 | opText:
	case 0x80 | opPing, 0x80 | opPong:
		longest = 125 // RFC 6455 §5.5
	default:
		return 0, nil, 0, false
	}
	var f frames
	for f.got == 0 || f.got < f.need() {
		if n == len(b) {
			return 0, nil, 0, true
		}
		f.head[f.got] = b[n]
		f.got++
		n++
	}
	length := f.length()
	if f.head[1]&0x80 == 0 || length > longest {
		return 0, nil, 0, false
	}
	if uint64(len(b)-n) < length {
		return 0, nil, 0, true
	}
	payload = append([]byte{}, b[n:n+int(length)]...)
	ws.Cipher(payload, [4]byte(f.head[f.got-4:f.got]), 0)
	return b[0] & 0x0f, payload, n + int(length), false
}

// judge decides on the first message. It may say once more who is there
// already; another subject, or a credential that does not verify, ends the
// connection.
func (l *lateMessage) judge(c *conn, payload []byte, n int) error {
	m, err := l.guard.first.form.parse(payload)
	if errors.Is(err, errNoAuthMessage) {
		return nil
	}
	c.early = c.early[n:]
	id := l.lease.identity.Load()
	var other *Identity
	if err == nil {
		other, err = l.guard.verify(l.ctx, l.guard.candidateOf(m, l.visit))
	}
	if err == nil && other.Subject != id.Subject {
		err = fmt.Errorf("%w: of two subjects", ErrTwoCredentials)
	}
	if err != nil {
		why := refusalFor(err)
		why.Carrier = carrierFirstMessage
		l.lease.expireLater(why)
		return errEnded
	}
	if m.ack {
		frame, err := ws.CompileFrame(ws.NewTextFrame(ackMessage(id)))
		if err != nil {
			return err
		}
		c.interject(frame)
	}
	return nil
}

// uncompressed takes the extensions out of a handshake, so that frames can be
// read.
func uncompressed(r *http.Request) { r.Header.Del("Sec-Websocket-Extensions") }
