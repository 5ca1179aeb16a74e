package usher

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// frames follows the heads of the frames in one direction of a connection (RFC
// 6455 §5.2), so that it is known where one ends. It neither copies nor unmasks
// payload, and bytes may come in pieces of any size.
type frames struct {
	rest   uint64 // Payload bytes of the current frame still to come.
	got    uint8  // Bytes in head.
	within bool   // A message has begun that has more fragments to come.
	closed bool   // A whole Close frame went by.
	lost   bool   // What went by is no sequence of frames.
	head   [14]byte
}

// boundary reports whether the bytes so far end with a whole frame.
func (f *frames) boundary() bool { return f.got == 0 && !f.lost }

// between reports whether a message may be put in here: not between the
// fragments of another (RFC 6455 §5.4), and not after a Close frame.
func (f *frames) between() bool { return f.boundary() && !f.within && !f.closed }

// advance takes the bytes of p up to the end of the current frame and returns
// how many these were: all of p if the frame goes on, or after frames are lost.
func (f *frames) advance(p []byte) int {
	n := 0
	for f.got == 0 || f.got < f.need() {
		if n == len(p) || f.lost {
			return len(p)
		}
		f.head[f.got] = p[n]
		f.got++
		n++
		if f.got == f.need() {
			f.rest = f.length()
			break
		}
	}
	if f.lost {
		return len(p)
	}
	if left := uint64(len(p) - n); f.rest > left {
		f.rest -= left
		return len(p)
	}
	n += int(f.rest)
	switch op := ws.OpCode(f.head[0] & 0x0f); {
	case op == ws.OpClose:
		f.closed = true
	case !op.IsControl():
		f.within = f.head[0]&0x80 == 0
	}
	f.rest, f.got = 0, 0
	return n
}

// follow takes all of p.
func (f *frames) follow(p []byte) {
	for len(p) > 0 {
		p = p[f.advance(p):]
	}
}

// need is the size of the head, as far as its bytes tell.
func (f *frames) need() uint8 {
	if f.got < 2 {
		return 2
	}
	n := uint8(2)
	switch f.head[1] & 0x7f {
	case 126:
		n += 2
	case 127:
		n += 8
	}
	if f.head[1]&0x80 != 0 {
		n += 4
	}
	return n
}

// length is the payload's, of a head that is whole.
func (f *frames) length() uint64 {
	switch n := f.head[1] & 0x7f; n {
	case 126:
		return uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		length := binary.BigEndian.Uint64(f.head[2:])
		if length >= 1<<63 {
			f.lost = true // RFC 6455 §5.2: the most significant bit must be 0.
		}
		return length
	default:
		return uint64(n)
	}
}

// closeFrame is an unmasked Close frame; a reason over 123 bytes is cut, since
// it is the Guard's own ASCII.
func closeFrame(code int, reason string) []byte {
	return ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(ws.StatusCode(code), reason)))
}
