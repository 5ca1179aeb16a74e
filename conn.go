package usher

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher/internal/pump"
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
	raw net.Conn
	// done is called once, when the connection is closed. Immutable once the
	// handler has the connection.
	done func()

	state atomic.Int32 // Changed under emu.

	rmu sync.Mutex
	// Guarded by rmu.
	early []byte // Came in before the handler could read.
	in    frames
	late  *lateMessage // Nil when there is nothing to look for.

	wmu sync.Mutex
	// Guarded by wmu.
	head *answerHead // Nil once frames follow.
	out  frames
	said bool // Nothing more goes out.

	// A message of the Guard's own that waits for the handler's to be whole.
	interjection atomic.Pointer[[]byte]

	emu sync.Mutex
	// Guarded by emu until state is connEnding, then immutable.
	goodbye []byte
	words   []byte    // Of the handler, before that.
	limit   time.Time // When the connection is cut, whatever is left to say.
}

func newConn(raw net.Conn, early []byte) *conn {
	c := &conn{raw: raw, early: bytes.Clone(early), done: func() {}}
	c.in.follow(c.early)
	return c
}

// Read gives the handler what the client sent.
func (c *conn) Read(p []byte) (int, error) {
	if c.state.Load() != connOpen {
		return 0, errEnded // At once: drain may hold rmu for as long as lingerTime.
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if err := c.ready(); err != nil {
		return 0, err
	}
	n, err := c.read(p)
	if c.state.Load() != connOpen {
		return 0, errEnded
	}
	return n, err
}

// ready sees to what must be known before the handler may read. Its error is
// what the handler reads instead. Callers hold rmu.
func (c *conn) ready() error {
	var err error
	if c.late != nil && c.state.Load() == connOpen {
		err = c.late.look(c)
	}
	if c.state.Load() != connOpen {
		return errEnded
	}
	return err
}

// read is Read for those who hold rmu, in every state.
func (c *conn) read(p []byte) (int, error) {
	if len(c.early) > 0 {
		return copy(p, c.takeEarly(len(p))), nil
	}
	n, err := c.raw.Read(p)
	c.in.follow(p[:n])
	return n, err
}

// takeEarly takes up to limit of the bytes that came early, and no more than a
// lateMessage lets pass. Callers hold rmu.
func (c *conn) takeEarly(limit int) []byte {
	n := min(limit, len(c.early))
	if c.late != nil {
		n = min(n, c.late.pass)
		c.late.pass -= n
	}
	b := c.early[:n]
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return b
}

// WriteTo copies what the client sends to w until either fails. Unlike
// [io.Copy] with Read it holds no buffer while nothing comes.
func (c *conn) WriteTo(w io.Writer) (total int64, err error) {
	rd := pump.NewReader(c.raw)
	use := func(p []byte) error {
		c.in.follow(p)
		if c.state.Load() != connOpen {
			return errEnded
		}
		_, err := c.passOn(w, p)
		return err
	}
	for err == nil {
		var n int
		n, err = c.pass(w, rd, use)
		total += int64(n)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

// pass copies what comes next, by use where rd gives it.
func (c *conn) pass(w io.Writer, rd *pump.Reader, use func(p []byte) error) (int, error) {
	if c.state.Load() != connOpen {
		return 0, errEnded // At once, as in Read.
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if err := c.ready(); err != nil {
		return 0, err
	}
	if len(c.early) > 0 {
		return c.passOn(w, c.takeEarly(len(c.early)))
	}
	n, err := rd.Next(use)
	if c.state.Load() != connOpen {
		err = errEnded
	}
	return n, err
}

// passOn writes to w without rmu, which the Guard needs should w be stuck while
// the connection ends. Callers hold it.
func (c *conn) passOn(w io.Writer, p []byte) (int, error) {
	c.rmu.Unlock()
	defer c.rmu.Lock()
	return w.Write(p)
}

// readEarly is Read for the Guard itself, before a handler has the connection.
func (c *conn) readEarly(p []byte) (int, error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	return c.read(p)
}

// unread puts b back in front of what comes next.
func (c *conn) unread(b []byte) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if len(b) > 0 {
		c.early = append(bytes.Clone(b), c.early...)
	}
}

// Write sends what the handler says, up to the frame at which the connection
// ends.
func (c *conn) Write(p []byte) (int, error) {
	c.wmu.Lock()
	n, err := c.write(p)
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
	if c.out.between() && len(c.words) > 0 {
		_, _ = c.raw.Write(c.words)
	}
	_, _ = c.raw.Write(c.goodbye)
}

// write is Write for those who hold wmu.
func (c *conn) write(p []byte) (n int, err error) {
	if c.head != nil {
		if n, err = c.writeHead(p); err != nil || c.head != nil {
			return n, err
		}
	}
	for n < len(p) {
		chunk := p[n:min(len(p), n+maxChunk)]
		switch c.state.Load() {
		case connClosed:
			return n, errEnded
		case connEnding:
			if c.said || c.out.lost || c.out.boundary() {
				return len(p), nil
			}
			ahead := c.out
			chunk = chunk[:ahead.advance(chunk)]
		}
		m, err := c.raw.Write(chunk)
		c.out.follow(chunk[:m])
		if n += m; err != nil {
			c.said = c.state.Load() != connOpen
			return n, err
		}
	}
	return n, nil
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
	if under, ok := c.raw.(interface{ NetConn() net.Conn }); ok && !time.Now().Before(c.limit) {
		// TLS would wait 5 s more for its last record to get through.
		_ = under.NetConn().Close()
	}
	_ = c.raw.Close()
	c.done()
}

// beginEnd takes the connection out of the handler's hands. words are whole
// frames that go before the Close frame.
func (c *conn) beginEnd(why *Refusal, words []byte) bool {
	c.emu.Lock()
	defer c.emu.Unlock()
	if c.state.Load() != connOpen {
		return false
	}
	c.words, c.goodbye = words, closeFrame(cmp.Or(why.Code, CloseFault), why.reason())
	c.limit = time.Now().Add(lingerTime)
	c.state.Store(connEnding)
	_ = c.raw.SetWriteDeadline(c.limit)
	_ = c.raw.SetReadDeadline(time.Unix(1, 0)) // Wakes the handler's reader.
	return true
}

// drain reads and throws away until the peer's Close frame, its end, or limit.
func (c *conn) drain() {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	_ = c.raw.SetReadDeadline(c.limit)
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
	c.done()
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
