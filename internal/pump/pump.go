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

	// What the last read on raw has given.
	buf *[Size]byte
	n   int
	err error

	more bool // Without raw: the last read filled its small buffer.
}

// NewReader returns a Reader of c.
func NewReader(c net.Conn) *Reader {
	r := &Reader{conn: c, raw: rawOf(c)}
	r.try = r.tryRaw
	return r
}

// Next waits for bytes, lends them to use, and returns how many there were with
// use's error, or the connection's: io.EOF at its end, a timeout at its
// deadline. The bytes are use's until it returns. Without bytes use is not
// called.
//
// While it waits there is little on the stack, which in a goroutine that has
// done nothing else is then as small as it was made.
func (r *Reader) Next(use func(p []byte) error) (int, error) {
	if r.raw == nil {
		return r.nextOfConn(use)
	}
	if err := r.raw.Read(r.try); err != nil {
		return 0, err
	}
	return r.lend(use)
}

// lend lends what was read on raw.
func (r *Reader) lend(use func(p []byte) error) (int, error) {
	buf := r.buf
	r.buf = nil
	defer buffers.Put(buf)
	if r.n > 0 {
		return r.n, use(buf[:r.n])
	}
	return 0, r.err
}

// nextOfConn is Next for a connection that needs a buffer to wait. Where the last
// read filled the small one, there is more at hand.
func (r *Reader) nextOfConn(use func(p []byte) error) (int, error) {
	if r.more {
		r.more = false
		buf := buffers.Get().(*[Size]byte)
		defer buffers.Put(buf)
		return r.readInto(buf[:], use)
	}
	buf := waitBuffers.Get().(*[waitSize]byte)
	defer waitBuffers.Put(buf)
	n, err := r.readInto(buf[:], use)
	r.more = n == len(buf)
	return n, err
}

func (r *Reader) readInto(buf []byte, use func(p []byte) error) (int, error) {
	n, err := r.conn.Read(buf)
	if n > 0 {
		return n, use(buf[:n])
	}
	return 0, err
}
