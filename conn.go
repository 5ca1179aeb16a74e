package usher

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// lingerTime is how long a peer has to answer a Close frame, and a write
	// that is stuck to get through, before the connection is cut.
	lingerTime = 3 * time.Second
	// maxChunk bounds one write to the network, so that the end of a
	// connection need not wait for a large one.
	maxChunk = 64 << 10
	// maxHead bounds the head of a handler's answer to a handshake.
	maxHead = 64 << 10
)

// errEnded is what a handler reads from, and in the end writes to, a connection
// that the Guard has ended. To libraries it is a closed connection.
var errEnded = fmt.Errorf("connection ended by its guard: %w", net.ErrClosed)

// The states of a conn. It only goes forward.
const (
	connOpen int32 = iota
	connEnding
	connClosed
)

// A conn is a connection in the hands of a handler that the Guard can end. It
// follows the heads of frames in both directions, so that it can write a Close
// between two of them. Once it ends, what the handler writes is swallowed and
// what it reads is an error, and the Guard alone sees the peer off.
//
// Lock order: rmu, wmu, emu. It has no methods but those of net.Conn and
// io.WriterTo, and no Unwrap: nobody gets around it.
type conn struct {
	raw   net.Conn
	lease *lease // Is released when the connection is closed. Nil: there is none. Immutable once the handler has it.

	state atomic.Int32 // Changed under emu.
	said  bool         // Nothing more goes out. Guarded by wmu.

	rmu sync.Mutex
	// Guarded by rmu.
	early []byte // Came in before the handler could read.
	in    frames
	late  *lateMessage // Nil when there is nothing to look for.

	wmu sync.Mutex
	// Guarded by wmu.
	head *answerHead // Nil once frames follow.
	out  frames

	// A message of the Guard's own that waits for the handler's to be whole.
	interjection atomic.Pointer[[]byte]

	emu      sync.Mutex
	farewell *farewell // Guarded by emu until state is connEnding, then immutable.
}

// A farewell is how the Guard ends a connection.
type farewell struct {
	goodbye []byte
	words   []byte    // Of the handler, before that.
	limit   time.Time // When the connection is cut, whatever is left to say.
}

func newConn(raw net.Conn, early []byte) *conn {
	c := &conn{raw: raw, early: bytes.Clone(early)}
	c.in.follow(c.early)
	return c
}

// Write sends what the handler says, up to the frame at which the connection
// ends.
//
// What write does in the most frequent case is done here: with one call less on
// the stack, a goroutine that waits may keep one that is as small as it was made.
func (c *conn) Write(p []byte) (n int, err error) {
	c.wmu.Lock()
	if c.head == nil && len(p) <= maxChunk && c.state.Load() == connOpen {
		n, err = c.raw.Write(p)
		c.sent(p[:n], err)
	} else {
		n, err = c.write(p)
	}
	c.say()
	if c.state.Load() == connEnding {
		n, err = len(p), nil
	}
	c.wmu.Unlock()
	if c.interjection.Load() != nil { // It came between say and Unlock.
		c.trySay()
	}
	return n, err
}

// sent follows what went out of a write that has failed with err, if it has.
// Callers hold wmu.
func (c *conn) sent(p []byte, err error) {
	c.out.follow(p)
	if err != nil {
		c.said = c.state.Load() != connOpen
	}
}

// interject sends a message of the Guard's own, in one frame, between two of the
// handler's, and does not wait for a handler that is stuck in a write.
func (c *conn) interject(frame []byte) {
	c.interjection.Store(&frame)
	c.trySay()
}

func (c *conn) trySay() {
	if c.wmu.TryLock() {
		c.say()
		c.wmu.Unlock()
	}
}

// say sends what the Guard has to say, if the last frame is whole; if it is not,
// the write that completes it comes here again. Callers hold wmu.
func (c *conn) say() {
	if c.said || c.unanswered() || !c.out.boundary() {
		return
	}
	if c.out.between() {
		if frame := c.interjection.Swap(nil); frame != nil {
			_, _ = c.write(*frame)
		}
	}
	if c.state.Load() != connEnding {
		return
	}
	c.said = true
	if c.out.closed { // The handler has closed on its own.
		return
	}
	if words := c.farewell.words; c.out.between() && len(words) > 0 {
		_, _ = c.raw.Write(words)
	}
	_, _ = c.raw.Write(c.farewell.goodbye)
}

// write is Write for those who hold wmu.
func (c *conn) write(p []byte) (n int, err error) {
	if c.head != nil {
		if n, err = c.writeHead(p); err != nil || c.head != nil {
			return n, err
		}
	}
	for n < len(p) {
		chunk, err := c.allowed(p[n:min(len(p), n+maxChunk)])
		if err != nil {
			return n, err
		}
		if len(chunk) == 0 {
			return len(p), nil
		}
		m, err := c.raw.Write(chunk)
		c.sent(chunk[:m], err)
		if n += m; err != nil {
			return n, err
		}
	}
	return n, nil
}

// allowed is how much of a chunk of the handler's still goes out. Callers hold
// wmu.
func (c *conn) allowed(chunk []byte) ([]byte, error) {
	switch c.state.Load() {
	case connClosed:
		return nil, errEnded
	case connEnding:
		if c.said || c.out.lost || c.out.boundary() {
			return nil, nil
		}
		ahead := c.out
		chunk = chunk[:ahead.advance(chunk)]
	}
	return chunk, nil
}

// writeFrame sends a whole frame of the Guard's own, before a handler has the
// connection.
func (c *conn) writeFrame(frame []byte) error {
	c.wmu.Lock()
	defer c.wmu.Unlock()
	_, err := c.write(frame)
	return err
}

// unanswered reports whether the client's handshake has no answer yet. Callers
// hold wmu.
func (c *conn) unanswered() bool { return c.head != nil && !c.head.swallow }

// end closes the connection with a Close frame that says why, and returns when
// it is closed: after the peer's answer, or lingerTime. Browsers lose the code
// of a connection that is closed at once.
func (c *conn) end(why *Refusal) {
	if c.beginEnd(why, nil) {
		c.finishEnd()
	}
}

// finishEnd is what is left of end after beginEnd.
func (c *conn) finishEnd() {
	c.wmu.Lock() // A write that is stuck gives way at limit.
	c.say()
	silent := c.unanswered()
	c.wmu.Unlock()
	if !silent {
		c.drain()
	}
	c.state.Store(connClosed)
	if under, ok := c.raw.(interface{ NetConn() net.Conn }); ok && !time.Now().Before(c.farewell.limit) {
		// TLS would wait 5 s more for its last record to get through.
		_ = under.NetConn().Close()
	}
	_ = c.raw.Close()
	c.release()
}

// release ends the lease, whose connection is closed.
func (c *conn) release() {
	if c.lease != nil {
		c.lease.release()
	}
}

// beginEnd takes the connection out of the handler's hands. words are whole
// frames that go before the Close frame.
func (c *conn) beginEnd(why *Refusal, words []byte) bool {
	c.emu.Lock()
	defer c.emu.Unlock()
	if c.state.Load() != connOpen {
		return false
	}
	c.farewell = &farewell{
		goodbye: closeFrame(cmp.Or(why.Code, CloseFault), why.reason()), words: words, limit: time.Now().Add(lingerTime),
	}
	c.state.Store(connEnding)
	_ = c.raw.SetWriteDeadline(c.farewell.limit)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // Wakes the handler's reader.
	return true
}

// drain reads and throws away until the peer's Close frame, its end, or limit.
func (c *conn) drain() {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	_ = c.raw.SetReadDeadline(c.farewell.limit)
	c.early = nil
	buf := drainBuffers.Get().(*[4 << 10]byte)
	defer drainBuffers.Put(buf)
	for !c.in.closed {
		if _, err := c.read(buf[:]); err != nil {
			return
		}
	}
}

var drainBuffers = sync.Pool{New: func() any { return new([4 << 10]byte) }}

// Close closes the connection at once, unless the Guard is about to.
func (c *conn) Close() error {
	c.emu.Lock()
	if c.state.Load() != connOpen {
		c.emu.Unlock()
		return nil
	}
	c.state.Store(connClosed)
	c.emu.Unlock()
	err := c.raw.Close()
	c.release()
	return err
}

// LocalAddr returns the local address.
func (c *conn) LocalAddr() net.Addr { return c.raw.LocalAddr() }

// RemoteAddr returns the address of the peer, which may be a proxy's.
func (c *conn) RemoteAddr() net.Addr { return c.raw.RemoteAddr() }

// SetDeadline sets both deadlines.
func (c *conn) SetDeadline(t time.Time) error { return c.setDeadline(c.raw.SetDeadline, t) }

// SetReadDeadline sets the handler's deadline for reads.
func (c *conn) SetReadDeadline(t time.Time) error { return c.setDeadline(c.raw.SetReadDeadline, t) }

// SetWriteDeadline sets the handler's deadline for writes.
func (c *conn) SetWriteDeadline(t time.Time) error { return c.setDeadline(c.raw.SetWriteDeadline, t) }

// setDeadline obeys the handler until the Guard has a deadline of its own.
func (c *conn) setDeadline(set func(time.Time) error, t time.Time) error {
	c.emu.Lock()
	defer c.emu.Unlock()
	if c.state.Load() != connOpen {
		return nil
	}
	return set(t)
}
