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
	go func() {
		if h, err := ably.Skim(t.format(op), r); err == nil {
			m.head <- &h
		}
		close(m.head)
	}()
	return m
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
	k := t.acks.begin(h.MsgSerial)
	if k == nil {
		return t.flooded()
	}
	t.acks.answer(k, nil, why)
	return nil
}
