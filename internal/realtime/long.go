package realtime

import (
	"io"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/ably"
)

// maxLong is how long a message may be, in bytes, that is refused by an answer
// though it is not held. One that is longer ends its connection.
const maxLong = 16 << 20

// A longMessage is one that is too large to be held. It is read as it comes, for
// no more than its answer needs: an SDK that is disconnected instead sends it
// again, and again.
type longMessage struct {
	*io.PipeWriter
	transport *transport
	head      chan *ably.Head // Nil where there is none.
}

func (t *transport) long(op ws.OpCode) *longMessage {
	r, w := io.Pipe()
	m := &longMessage{PipeWriter: w, transport: t, head: make(chan *ably.Head, 1)}
	go func() { // Until the message ends, or is abandoned.
		if h, err := ably.Skim(t.format(op), r); err == nil {
			m.head <- &h
		}
		close(m.head)
	}()
	return m
}

// isLong reports whether a frame is of a message that is not held.
func (in *inbox) isLong(h ws.Header) bool {
	if h.OpCode.IsControl() {
		return false
	}
	room := int64(in.limit)
	if m := in.partial; m != nil {
		if m.long != nil {
			return true
		}
		room -= int64(len(m.whole))
	}
	return h.Length > room
}

// extend begins a frame of a long message, of which some may be held: it was not
// long until now.
func (in *inbox) extend(h ws.Header) error {
	if in.partial == nil {
		in.partial = &partial{op: h.OpCode}
	}
	m := in.partial
	if m.long == nil {
		m.total = int64(len(m.whole))
	}
	if m.total += h.Length; m.total > maxLong {
		return errTooLarge
	}
	if m.long == nil {
		m.long = in.transport.long(m.op)
		if len(m.whole) > 0 { // A reader takes an empty write for no progress.
			_, _ = m.long.Write(m.whole)
		}
		m.whole = nil
	}
	m.mask, m.at, m.left, m.parts = h.Mask, 0, h.Length, !h.Fin
	return in.passed()
}

// pass passes on what has come of a frame, and returns how much that is.
func (in *inbox) pass(p []byte) (int, error) {
	m := in.partial
	n := int(min(int64(len(p)), m.left))
	buf, _ := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	payload := (*buf)[:0]
	payload = append(payload, p[:n]...)
	if cap(payload) <= writeSize {
		*buf = payload
	}
	ws.Cipher(payload, m.mask, m.at)
	m.at += n
	m.left -= int64(n)
	_, _ = m.long.Write(payload) // It is read to its end, whatever it is.
	return n, in.passed()
}

// passed sees whether that was all of the message.
func (in *inbox) passed() error {
	m := in.partial
	if m.left > 0 || m.parts {
		return nil
	}
	in.partial = nil
	return m.long.end()
}

// end is called when all of it was there.
func (m *longMessage) end() error {
	_ = m.Close()
	return m.transport.tooLarge(<-m.head)
}

// abandon is called when the rest will not come.
func (m *longMessage) abandon() {
	_ = m.CloseWithError(io.ErrUnexpectedEOF)
	<-m.head
}

// tooLarge answers a message that is too large. Where it wants no answer, or has
// no head, the client gives up: it would send it again.
func (t *transport) tooLarge(h *ably.Head) error {
	why := ably.Errorf(ably.MessageTooLarge, "a frame has at most %d bytes", t.in.limit)
	switch {
	case t.over:
		return nil
	case h == nil, !h.Action.NeedsAck():
		return t.fail(why)
	}
	o, ok := t.acks.begin(h.MsgSerial, 0)
	if !ok {
		return t.flooded()
	}
	o.refuse(why)
	return nil
}
