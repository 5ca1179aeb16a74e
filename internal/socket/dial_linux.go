package socket

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Dial connects, says what is to be said and hears the first of the answer: n bytes
// of it. An error without a connection is that there was none, and nothing was
// said; with one, that something went wrong once it was there. The caller closes
// it.
//
// That a connection is there shows when something can be written, and the wait for
// the answer begins before that: neither takes a system call of its own.
func (k *Call) Dial() (c net.Conn, n int, err error) {
	conn, err := dial(k.Addr)
	for tries := 0; errors.Is(err, syscall.EADDRNOTAVAIL) && tries < 2; tries++ {
		conn, err = dial(k.Addr) // The port that the kernel picked was taken: package net knows of some that do.
	}
	if err != nil {
		return nil, 0, &net.OpError{Op: "dial", Net: "tcp", Addr: net.TCPAddrFromAddrPort(k.Addr), Err: err}
	}
	stop := k.Until(func() { _ = conn.Close() })
	o := opening{call: k, conn: conn, rest: k.Say}
	err = o.run()
	if !stop() {
		err = net.ErrClosed
	}
	// What was reset, or closed, had been there.
	there := len(o.rest) < len(k.Say) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
	if err == nil && bytes.HasPrefix(k.Say, k.Hear[:o.heard]) {
		// Where nobody listens, the kernel may pick that very port for this end: it is
		// connected with itself.
		there, err = false, syscall.ECONNREFUSED
	}
	if err == nil {
		return conn, o.heard, nil
	}
	if err = conn.failed("dial", err); there {
		return conn, 0, err
	}
	_ = conn.Close()
	return nil, 0, err
}

// dial begins to connect to addr. Its errors are those of system calls.
func dial(addr netip.AddrPort) (*Conn, error) {
	domain, sa := sockaddrOf(addr)
	fd, err := syscall.Socket(domain, syscall.SOCK_STREAM|syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC, syscall.IPPROTO_TCP)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	// A connection to this machine ends when its other end does.
	call, err := "setsockopt", options(fd, !addr.Addr().IsLoopback())
	if err == nil {
		call, err = "connect", syscall.Connect(fd, sa)
	}
	if err != nil && !errors.Is(err, syscall.EINPROGRESS) && !errors.Is(err, syscall.EINTR) {
		_ = syscall.Close(fd)
		return nil, os.NewSyscallError(call, err)
	}
	return newConn(fd, addr)
}

// An opening is a call until the first of the answer is heard.
type opening struct {
	call  *Call
	conn  *Conn
	rest  []byte // Of what is to be said.
	heard int
	err   error
}

func (o *opening) run() error {
	err := o.conn.raw.Read(o.converse)
	if err == nil && errors.Is(o.err, syscall.EAGAIN) { // It takes a moment, as it does over a network.
		if err = o.conn.SetWriteDeadline(time.Now().Add(o.call.Connect)); err == nil {
			err = o.conn.raw.Write(o.say)
		}
		if err == nil && o.err == nil {
			if err = o.conn.SetWriteDeadline(time.Time{}); err == nil {
				err = o.conn.raw.Read(o.hear)
			}
		}
	}
	if err != nil {
		return err
	}
	return o.err
}

// converse is for RawConn.Read. What is to be said is said first, and then there
// cannot be an answer yet.
func (o *opening) converse(fd uintptr) (over bool) {
	if len(o.rest) == 0 {
		return o.hear(fd)
	}
	o.say(fd)
	return o.err != nil
}

// say is for RawConn.Write. It reports whether all was said, or cannot be.
func (o *opening) say(fd uintptr) (over bool) {
	for len(o.rest) > 0 {
		var n int
		n, o.err = syscall.Write(int(fd), o.rest)
		switch {
		case o.err == nil:
			o.rest = o.rest[n:]
		case !errors.Is(o.err, syscall.EINTR):
			return !errors.Is(o.err, syscall.EAGAIN)
		}
	}
	o.err = o.conn.SetReadDeadline(time.Now().Add(o.call.Answer))
	return true
}

// hear is for RawConn.Read. It reports whether something was heard, or cannot be.
func (o *opening) hear(fd uintptr) (over bool) {
	for {
		n, err := syscall.Read(int(fd), o.call.Hear)
		switch {
		case err == nil && n > 0:
			o.heard = n
			return true
		case err == nil:
			o.err = io.EOF
			return true
		case errors.Is(err, syscall.EAGAIN):
			return false
		case !errors.Is(err, syscall.EINTR):
			o.err = err
			return true
		}
	}
}
