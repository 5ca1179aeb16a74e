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
	raw  syscall.RawConn // Nil where only conn can wait.
	more *bool           // Without raw: the last read filled its small buffer.
}

// NewReader returns a Reader of c.
func NewReader(c net.Conn) Reader {
	r := Reader{conn: c, more: new(bool)}
	r.raw = rawOf(c)
	return r
}

// Next waits for bytes, lends them to use, and returns how many there were with
// use's error, or the connection's: io.EOF at its end, a timeout at its
// deadline. The bytes are use's until it returns. Without bytes use is not
// called.
func (r Reader) Next(use func(p []byte) error) (int, error) {
	if r.raw == nil && !*r.more {
		return r.wait(use)
	}
	*r.more = false
	buf, n, err := r.read()
	if buf != nil {
		defer buffers.Put(buf)
	}
	if n > 0 {
		return n, use(buf[:n])
	}
	return 0, err
}

// wait is Next with a small buffer. Where that was filled, the rest of a TLS
// record is likely to be there, and worth a large one.
func (r Reader) wait(use func(p []byte) error) (int, error) {
	buf := waitBuffers.Get().(*[waitSize]byte)
	defer waitBuffers.Put(buf)
	n, err := r.conn.Read(buf[:])
	*r.more = n == len(buf)
	if n > 0 {
		return n, use(buf[:n])
	}
	return 0, err
}

// read waits for bytes and returns them in a buffer, for the caller to give
// back; it may come with an error too.
func (r Reader) read() (*[Size]byte, int, error) {
	if r.raw != nil {
		return r.readRaw()
	}
	buf := buffers.Get().(*[Size]byte)
	n, err := r.conn.Read(buf[:])
	return buf, n, err
}
