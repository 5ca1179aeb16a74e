package realtime

import (
	"bytes"
	"encoding/binary"
	"errors"
	"slices"
	"sync"

	"github.com/gobwas/ws"
)

// An inbox puts the frames of a client together, as their bytes come. It holds
// no memory while no frame is under way.
type inbox struct {
	limit     int
	transport *transport // Takes messages that are larger than limit, and are not held. Nil: there are none such.

	held    []byte   // The head and what there is of the payload of a frame, or less.
	partial *partial // Nil: no message is under way that is in several frames, or not held.
}

// A partial is a message of which there is less than all.
type partial struct {
	op    ws.OpCode
	parts bool   // More frames of it are to come.
	whole []byte // What there is of it, where it is held.

	long  *longMessage // What is told of it, where it is not held. Nil: it is.
	mask  [4]byte      // Of the last frame that has begun, as the next.
	total int64        // How much was begun.
	at    int          // How much of the frame has come.
	left  int64        // How much of the frame is to come.
}

var (
	errFrame    = errors.New("frame out of order")
	errTooLarge = errors.New("frame too large")
)

// take takes bytes, and calls handle with each message and control frame that
// they complete. The payload is handle's until it returns.
func (in *inbox) take(p []byte, handle func(op ws.OpCode, payload []byte) error) error {
	if len(in.held) > 0 {
		in.held = append(in.held, p...)
		p = in.held
	}
	for len(p) > 0 {
		if in.partial != nil && in.partial.left > 0 {
			n, err := in.pass(p)
			if err != nil {
				return err
			}
			p = p[n:]
			continue
		}
		h, size, err := in.head(p)
		if err != nil {
			return err
		}
		if size > 0 && in.isLong(h) {
			if err := in.extend(h); err != nil {
				return err
			}
			p = p[size:]
			continue
		}
		if size == 0 || len(p) < size+int(h.Length) {
			break
		}
		if err := in.open(h, p[size:size+int(h.Length)], handle); err != nil {
			return err
		}
		p = p[size+int(h.Length):]
	}
	in.keep(p)
	return nil
}

// keep holds back what is no whole frame.
func (in *inbox) keep(rest []byte) {
	switch {
	case len(rest) == 0:
		in.held = nil
	case len(in.held) == 0:
		in.held = bytes.Clone(rest)
	default:
		in.held = in.held[:copy(in.held, rest)]
	}
}

// head reads the head of a frame. Its size is 0 where not all of it is there.
func (in *inbox) head(p []byte) (h ws.Header, size int, err error) {
	if len(p) < 2 {
		return h, 0, nil
	}
	size = 2 + 4
	switch p[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if p[1]&0x80 == 0 {
		return h, 0, errFrame
	}
	if len(p) < size {
		return h, 0, nil
	}
	h = ws.Header{
		Fin: p[0]&0x80 != 0, Rsv: p[0] & 0x70 >> 4, OpCode: ws.OpCode(p[0] & 0x0f), Masked: true,
		Mask: [4]byte(p[size-4 : size]), Length: int64(p[1] & 0x7f),
	}
	switch h.Length {
	case 126:
		h.Length = int64(binary.BigEndian.Uint16(p[2:]))
	case 127:
		h.Length = int64(binary.BigEndian.Uint64(p[2:]) & (1<<63 - 1))
	}
	state := ws.StateServerSide
	if in.partial != nil {
		state = state.Set(ws.StateFragmented)
	}
	if ws.CheckHeader(h, state) != nil {
		return h, 0, errFrame
	}
	if in.isLong(h) && in.transport == nil {
		return h, 0, errTooLarge
	}
	return h, size, nil
}

var payloads = sync.Pool{New: func() any { return new([]byte) }}

// open unmasks a frame, whose bytes are somebody else's.
func (in *inbox) open(h ws.Header, masked []byte, handle func(ws.OpCode, []byte) error) error {
	buf, _ := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	payload := (*buf)[:0]
	payload = append(payload, masked...)
	if cap(payload) <= writeSize {
		*buf = payload
	}
	ws.Cipher(payload, h.Mask, 0)
	return in.frame(h, payload, handle)
}

// frame is given each whole frame.
func (in *inbox) frame(h ws.Header, payload []byte, handle func(ws.OpCode, []byte) error) error {
	switch {
	case h.OpCode.IsControl():
		return handle(h.OpCode, payload)
	case h.Fin && in.partial == nil:
		return handle(h.OpCode, payload)
	}
	if in.partial == nil {
		in.partial = &partial{op: h.OpCode, parts: true}
	}
	m := in.partial
	m.whole = append(m.whole, payload...)
	if !h.Fin {
		return nil
	}
	in.partial = nil
	return handle(m.op, m.whole)
}

// appendFrame appends a frame of the server's, whose payload write appends. A frame
// that is the first has just the room that it needs.
func appendFrame(b []byte, op ws.OpCode, write func(b []byte) []byte) []byte {
	if b != nil {
		return appendFrameTo(b, op, write)
	}
	buf, _ := payloads.Get().(*[]byte)
	defer payloads.Put(buf)
	frame := appendFrameTo((*buf)[:0], op, write)
	if cap(frame) <= writeSize {
		*buf = frame
	}
	return bytes.Clone(frame)
}

// appendFrameTo is appendFrame, where room is not looked at. The head is as long as
// that of most, until it is known how long the frame is.
func appendFrameTo(b []byte, op ws.OpCode, write func(b []byte) []byte) []byte {
	at := len(b)
	b = write(append(b, 0x80|byte(op), 126, 0, 0))
	n := len(b) - at - 4
	switch {
	case n < 126:
		b = append(b[:at+2], b[at+4:]...)
		b[at+1] = byte(n)
	case n <= 0xffff:
		binary.BigEndian.PutUint16(b[at+2:], uint16(n))
	default:
		b = slices.Insert(b, at+4, 0, 0, 0, 0, 0, 0)
		b[at+1] = 127
		binary.BigEndian.PutUint64(b[at+2:], uint64(n))
	}
	return b
}

// control returns a control frame.
func control(op ws.OpCode, payload []byte) []byte {
	return appendFrame(nil, op, func(b []byte) []byte { return append(b, payload...) })
}
