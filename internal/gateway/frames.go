package gateway

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
)

// deflate is the one extension whose use of the reserved bits is known (RFC
// 7692 §6): the first of them, on the first frame of a message.
const deflate = "permessage-deflate"

var (
	errLength     = errors.New("payload length malformed")
	errAfterClose = errors.New("frame after Close")
)

// A checker holds the frames of one direction against RFC 6455 §5, by their
// heads: no payload is unmasked or copied. A head is held back until it is
// whole and in order, so that nothing of a bad frame is passed on. A Pong that
// may answer the gateway's own Ping is held back with its payload, for as long
// as that fits, and is left out if it does.
type checker struct {
	state   ws.State // Which side they come from, and where in a message.
	pings   *pings   // The gateway's own to this side. Nil: none.
	deflate bool
	rest    int64 // Payload bytes of the current frame still to come.
	closed  bool  // A whole Close frame was passed on.
	close   bool  // The current frame is one.

	head    [heldSize]byte
	got     int // Bytes in head.
	cleared [heldSize]byte
}

// heldSize is the most that is held back: the longest head, or a whole Pong of a
// client's.
const heldSize = max(ws.MaxHeaderSize, 2+4+pingSize)

// newChecker checks what comes from the side that state names, after the
// extensions were negotiated. One that is not known may use the reserved bits
// as it likes.
func newChecker(state ws.State, extensions []string) *checker {
	c := &checker{state: state}
	for _, name := range extensions {
		if name == deflate {
			c.deflate = true
		} else {
			c.state = c.state.Set(ws.StateExtended)
		}
	}
	return c
}

// boundary reports whether what was passed on ends with a whole frame.
func (c *checker) boundary() bool { return c.rest == 0 }

// take checks the first used bytes of p, which goes on where the last call
// ended: all of p, but up to the end of what is left out, if anything is. What
// may be passed on is held, which earlier calls held back and is good until the
// next, and after it p[:n]. With an error that is what comes before the frame at
// fault.
func (c *checker) take(p []byte) (held []byte, n, used int, err error) {
	before := c.got
	for i := 0; i < len(p); n = i {
		if c.rest > 0 {
			part := min(c.rest, int64(len(p)-i))
			c.rest -= part
			i += int(part)
			c.closed = c.close && c.rest == 0
			continue
		}
		if c.closed {
			return held, n, i, fmt.Errorf("%w: %w", usher.ErrProtocol, errAfterClose)
		}
		for c.got < c.need() {
			if i == len(p) {
				return held, n, i, nil
			}
			c.head[c.got] = p[i]
			c.got++
			i++
		}
		if c.pings.answeredBy(c.head[:c.got]) {
			c.got = 0
			return held, n, i, nil
		}
		if err := c.begin(); err != nil {
			return held, n, i, fmt.Errorf("%w: %w", usher.ErrProtocol, err)
		}
		if before > 0 {
			held = c.cleared[:copy(c.cleared[:], c.head[:before])]
			before = 0
		}
		c.got = 0
	}
	return held, n, n, nil
}

// need is how much of a frame is to be held back, as far as its bytes tell.
func (c *checker) need() int {
	if c.got < 2 {
		return 2
	}
	n := headSize(c.head[1])
	if c.got >= n && c.pings.mayBeAnsweredBy(c.head[:c.got]) {
		n += pingSize
	}
	return n
}

// begin looks at a head that is whole, and that more of the frame may follow.
func (c *checker) begin() error {
	length, err := payloadLength([ws.MaxHeaderSize]byte(c.head[:]))
	if err != nil {
		return err
	}
	h := ws.Header{
		Fin: c.head[0]&0x80 != 0, Rsv: c.head[0] & 0x70 >> 4, OpCode: ws.OpCode(c.head[0] & 0x0f),
		Masked: c.head[1]&0x80 != 0, Length: length,
	}
	if c.deflate && h.Rsv == 4 && h.OpCode.IsData() {
		h.Rsv = 0
	}
	if err := ws.CheckHeader(h, c.state); err != nil {
		return err
	}
	if !h.OpCode.IsControl() {
		if h.Fin {
			c.state = c.state.Clear(ws.StateFragmented)
		} else {
			c.state = c.state.Set(ws.StateFragmented)
		}
	}
	c.rest, c.close = length-int64(c.got-headSize(c.head[1])), h.OpCode == ws.OpClose
	c.closed = c.close && length == 0
	return nil
}

// payloadLength reads the length out of a whole head. It must be in its
// shortest form (RFC 6455 §5.2), or two readers could see different frames.
func payloadLength(head [ws.MaxHeaderSize]byte) (int64, error) {
	switch n := int64(head[1] & 0x7f); n {
	case 126:
		length := int64(binary.BigEndian.Uint16(head[2:]))
		if length < 126 {
			return 0, errLength
		}
		return length, nil
	case 127:
		length := binary.BigEndian.Uint64(head[2:])
		if length>>63 != 0 || length <= 0xffff {
			return 0, errLength
		}
		return int64(length), nil
	default:
		return n, nil
	}
}

// headSize is the size of a head by its second byte.
func headSize(b byte) int {
	n := 2
	switch b & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if b&0x80 != 0 {
		n += 4
	}
	return n
}
