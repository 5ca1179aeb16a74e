//go:build unix

package pump

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
)

// rawOf returns the socket of c, or nil. It knows the types of package net and
// no others: what wraps one of them may hold bytes that the socket no longer
// has.
func rawOf(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch c := c.(type) {
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	case *net.UnixConn:
		raw, _ = c.SyscallConn()
	}
	return raw
}

// readRaw is read on a socket: the buffer is taken when there is something.
func (r Reader) readRaw() (*[Size]byte, int, error) {
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
