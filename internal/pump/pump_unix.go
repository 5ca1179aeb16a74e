//go:build unix

package pump

import (
	"io"
	"net"
	"os"
	"syscall"
)

// rawOf returns the socket of c, or nil. It knows the types of package net, and
// those that say of themselves that they are but a socket: what wraps one may hold
// bytes that the socket no longer has.
func rawOf(c net.Conn) syscall.RawConn {
	var raw syscall.RawConn
	switch c := c.(type) {
	case *net.TCPConn:
		raw, _ = c.SyscallConn()
	case *net.UnixConn:
		raw, _ = c.SyscallConn()
	case interface{ Raw() syscall.RawConn }:
		raw = c.Raw()
	}
	return raw
}

// tryRaw reads from the socket, if there is something: only then is a buffer
// taken for longer than that takes. It reports whether the wait is over.
func (r *Reader) tryRaw(fd uintptr) bool {
	buf := buffers.Get().(*[Size]byte)
	n, errno := r.caller.Read(fd, buf[:])
	for errno == syscall.EINTR {
		n, errno = r.caller.Read(fd, buf[:])
	}
	if errno == syscall.EAGAIN {
		buffers.Put(buf)
		return false
	}
	r.buf, r.n, r.err = buf, n, nil
	switch {
	case errno != 0:
		r.n, r.err = 0, &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read", errno)}
	case n == 0:
		r.err = io.EOF
	}
	return true
}
