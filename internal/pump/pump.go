// Package pump reads from connections without holding a buffer while nothing
// comes, or only a small one where the connection has to have one: ten thousand
// idle connections need little more memory than their goroutines. It knows
// nothing of what it copies. The Guard's connections and the gateway's tunnel
// are its callers.
package pump

import (
	"net"
	"sync"
	"syscall"

	"github.com/usher-ws/usher/internal/direct"
)

// Size is the size of a buffer, and so the most that one read returns, in
// bytes.
const Size = 32 << 10

// waitSize is the size of the buffer that waits where only the connection
// itself can: a TLS connection, a pipe.
const waitSize = 2 << 10

var (
	buffers     = sync.Pool{New: func() any { return new([Size]byte) }}
	waitBuffers = sync.Pool{New: func() any { return new([waitSize]byte) }}
)

// A Reader reads from one connection, in one goroutine at a time. The zero value
// is not usable.
type Reader struct {
	conn net.Conn
	raw  syscall.RawConn       // Nil where only conn can wait.
	try  func(fd uintptr) bool // The method of its name, made once.

	caller direct.Caller // Of try.

	// What the last read has given. Nil: no buffer is held.
	buf   *[Size]byte
	small *[waitSize]byte
	n     int
	err   error

	more bool // Without raw: the last read filled its small buffer.
}

// NewReader returns a Reader of c.
func NewReader(c net.Conn) *Reader {
	r := &Reader{conn: c, raw: rawOf(c)}
	r.try = r.tryRaw
	return r
}

// Next waits for bytes, and returns them, or the connection's error: io.EOF at
// its end, a timeout at its deadline. The bytes are the caller's until Done,
// which comes before the next call.
//
// While it waits there is little on the stack, and while the caller uses the
// bytes nothing of this: a goroutine that has done nothing else may then have a
// stack as small as it was made.
func (r *Reader) Next() ([]byte, error) {
	if r.raw == nil {
		return r.nextOfConn()
	}
	if err := r.raw.Read(r.try); err != nil {
		return nil, err
	}
	if r.n == 0 {
		r.Done()
		return nil, r.err
	}
	return r.buf[:r.n], nil
}

// Done gives the buffer of the last Next back.
func (r *Reader) Done() {
	if r.buf != nil {
		buffers.Put(r.buf)
		r.buf = nil
	}
	if r.small != nil {
		waitBuffers.Put(r.small)
		r.small = nil
	}
}

// nextOfConn is Next for a connection that needs a buffer to wait. Where the last
// read filled the small one, there is more at hand.
func (r *Reader) nextOfConn() ([]byte, error) {
	var buf []byte
	if r.more {
		r.buf = buffers.Get().(*[Size]byte)
		buf = r.buf[:]
	} else {
		r.small = waitBuffers.Get().(*[waitSize]byte)
		buf = r.small[:]
	}
	n, err := r.conn.Read(buf)
	r.more = r.small != nil && n == waitSize
	if n == 0 {
		r.Done()
		return nil, err
	}
	return buf[:n], nil
}
