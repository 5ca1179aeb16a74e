package usher

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"

	"github.com/gobwas/ws"
)

// A lateMessage looks at the first message of a connection that was admitted by
// another carrier, on a Guard that takes first messages too. If it is one, it is
// a second credential: it is judged, and kept from the handler. Everything else
// is the handler's, also the pings and pongs that come before it.
type lateMessage struct {
	guard *guardState
	visit *visit
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
		case op == ws.OpPing, op == ws.OpPong:
			l.pass = n
			return nil
		case op == ws.OpText:
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
// such a frame could become whole; without a size it is something else.
func firstFrame(b []byte) (op ws.OpCode, payload []byte, n int, more bool) {
	if len(b) == 0 {
		return 0, nil, 0, true
	}
	longest := int64(maxMessage)
	switch b[0] { // A whole message, without reserved bits.
	case 0x80 | byte(ws.OpText):
	case 0x80 | byte(ws.OpPing), 0x80 | byte(ws.OpPong):
		longest = ws.MaxControlFramePayloadSize // RFC 6455 §5.5
	default:
		return 0, nil, 0, false
	}
	rd := bytes.NewReader(b)
	h, err := ws.ReadHeader(rd)
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return 0, nil, 0, true
	case err != nil, !h.Masked, h.Length > longest:
		return 0, nil, 0, false
	case int64(rd.Len()) < h.Length:
		return 0, nil, 0, true
	}
	head, length := len(b)-rd.Len(), int(h.Length)
	payload = bytes.Clone(b[head : head+length])
	ws.Cipher(payload, h.Mask, 0)
	return h.OpCode, payload, head + length, false
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
		// Without rmu, which the Guard needs should the connection end meanwhile.
		c.rmu.Unlock()
		said := l.guard.candidateOf(m, l.visit)
		other, err = l.guard.verifyCaught(l.ctx, &said)
		c.rmu.Lock()
	}
	if err == nil && other.Subject != id.Subject {
		err = errTwoSubjects
	}
	if err != nil {
		why := asRefusal(err)
		why.Carrier = carrierFirstMessage
		l.lease.endLater(why)
		return errEnded
	}
	if m.ack {
		c.interject(ackFrame(id))
	}
	return nil
}
