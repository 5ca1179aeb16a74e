package demo

import (
	"bytes"
	"net"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// maxTapped bounds what is kept of either direction until it is understood: a
// first message may have 8 KiB, and its frame's head 14 bytes.
const maxTapped = 8<<10 + 14

// A recordedConn writes down the first message of the client, the head of the
// answer, and the Close frame of the side that sends one first, for the other
// side's repeats it. It passes everything on unchanged.
type recordedConn struct {
	net.Conn
	ring *ring
	try  string

	// Owned by the reader.
	early   []byte // What the client sent before the connection was taken over.
	in      []byte
	inFinal bool
	inClose closeScanner

	closed atomic.Bool // A Close frame is written down.

	mu sync.Mutex
	// Guarded by mu.
	out      []byte
	answered bool
	outClose closeScanner
}

// Read hands out what came early first.
func (c *recordedConn) Read(p []byte) (int, error) {
	if len(c.early) > 0 {
		n := copy(p, c.early)
		c.early = c.early[n:]
		c.sees(p[:n])
		return n, nil
	}
	n, err := c.Conn.Read(p)
	c.sees(p[:n])
	return n, err
}

// sees collects what the client sends until its first message is whole, and
// looks out for its Close frame.
func (c *recordedConn) sees(p []byte) {
	c.seesMessage(p)
	// The client may give any reason, so none is shown.
	if payload, found := c.inClose.next(p); found {
		c.closes("left", closeLine(payload, masked))
	}
}

// closes writes a Close frame down if it is the first.
func (c *recordedConn) closes(kind, line string) {
	if c.closed.CompareAndSwap(false, true) {
		c.ring.add(event{Try: c.try, Kind: kind, Line: line})
	}
}

func (c *recordedConn) seesMessage(p []byte) {
	if c.inFinal {
		return
	}
	c.in = append(c.in, p...)
	for !c.inFinal {
		message, size := firstFrame(c.in)
		if size == 0 {
			break
		}
		c.in = c.in[size:]
		if message != nil {
			c.ring.add(event{Try: c.try, Kind: "message", Line: maskMessage(message)})
			c.inFinal = true
		}
	}
	if c.inFinal || len(c.in) > maxTapped {
		c.inFinal, c.in = true, nil
	}
}

// firstFrame returns the payload of the frame at the start of p if it is a
// data frame, and the frame's size; zero if the frame is not whole yet.
func firstFrame(p []byte) (message []byte, size int) {
	r := bytes.NewReader(p)
	head, err := ws.ReadHeader(r)
	if err != nil || head.Length > int64(r.Len()) {
		return nil, 0
	}
	start := len(p) - r.Len()
	size = start + int(head.Length)
	if head.OpCode.IsControl() {
		return nil, size
	}
	message = append([]byte{}, p[start:size]...)
	if head.Masked {
		ws.Cipher(message, head.Mask, 0)
	}
	return message, size
}

// Write looks out for the end of the answer's head, and for the Close frame.
func (c *recordedConn) Write(p []byte) (int, error) {
	c.says(p)
	return c.Conn.Write(p)
}

func (c *recordedConn) says(p []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answered {
		c.out = append(c.out, p...)
		head, rest, whole := bytes.Cut(c.out, []byte("\r\n\r\n"))
		if !whole && len(c.out) <= maxTapped {
			return
		}
		c.answered, c.out, p = true, nil, rest
		if whole {
			line, fields := maskAnswer(head)
			c.ring.add(event{Try: c.try, Kind: "answer", Line: line, Fields: fields})
		}
	}
	if payload, found := c.outClose.next(p); found {
		c.closes("closed", closeLine(payload, asIs))
	}
}
