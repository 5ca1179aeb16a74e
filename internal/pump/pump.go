// Package pump reads from connections without holding a buffer while nothing
// comes: ten thousand idle connections need no more memory than their
// goroutines. It knows nothing of what it copies. The Guard's connections and
// the gateway's tunnel are its callers.
package pump

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// Size is the size of a buffer, and so the most that one read returns, in
// bytes.
const Size = 32 << 10

var buffers = sync.Pool{New: func() any { return new([Size]byte) }}

// A Reader reads from one connection. The zero value is not usable.
type Reader struct {
	conn net.Conn
	raw  syscall.RawConn // Nil where only conn can wait: a TLS connection, a pipe.
}

// NewReader returns a Reader of c.
func NewReader(c net.Conn) Reader {
	r := Reader{conn: c}
	if sc, ok := c.(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			r.raw = raw
		}
	}
	return r
}

// Next waits for bytes, lends them to use, and returns how many there were with
// use's error, or the connection's: io.EOF at its end, a timeout at its
// deadline. The bytes are use's until it returns. Without bytes use is not
// called.
func (r Reader) Next(use func(p []byte) error) (int, error) {
	buf, n, err := r.read()
	if buf != nil {
		defer buffers.Put(buf)
	}
	if n > 0 {
		return n, use(buf[:n])
	}
	return 0, err
}

func (r Reader) read() (*[Size]byte, int, error) {
	if r.raw == nil {
		buf := buffers.Get().(*[Size]byte)
		n, err := r.conn.Read(buf[:])
		return buf, n, err
	}
	var buf *[Size]byte
	var n int
	var err error
	waitErr := r.raw.Read(func(fd uintptr) bool {
		buf = buffers.Get().(*[Size]byte)
		for {
			n, err = syscall.Read(int(fd), buf[:])
			if !errors.Is(err, syscall.EINTR) {
				break
			}
		}
		if errors.Is(err, syscall.EAGAIN) {
			buffers.Put(buf)
			buf = nil
			return false // Wait until there is something, without a buffer.
		}
		return true
	})
	switch {
	case waitErr != nil:
		return buf, 0, waitErr
	case err != nil:
		return buf, 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", err)}
	case n == 0:
		return buf, 0, io.EOF
	}
	return buf, n, nil
}
