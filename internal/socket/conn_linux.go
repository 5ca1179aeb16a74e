package socket

import (
	"errors"
	"io"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"
)

// Available says whether the rest of the package is there.
const Available = true

// A Conn is a TCP connection, which does what a [net.TCPConn] does that is only a
// [net.Conn].
type Conn struct {
	file *os.File // On the runtime's poller, as what package net makes is.
	raw  syscall.RawConn
	peer netip.AddrPort
}

// newConn returns the connection that fd is, which does not block.
func newConn(fd int, peer netip.AddrPort) (*Conn, error) {
	file := os.NewFile(uintptr(fd), "tcp")
	raw, err := file.SyscallConn()
	if err != nil {
		_ = file.Close()
		return nil, err
	}
	return &Conn{file, raw, peer}, nil
}

// Raw returns the socket.
func (c *Conn) Raw() syscall.RawConn { return (*rawConn)(c) }

// Read implements [net.Conn].
func (c *Conn) Read(p []byte) (int, error) {
	n, err := c.file.Read(p)
	if err != nil {
		err = c.failed("read", err)
	}
	return n, err
}

// Write implements [net.Conn].
func (c *Conn) Write(p []byte) (int, error) {
	w, _ := writes.Get().(*writing)
	defer writes.Put(w)
	n, err := w.write(c.raw, p)
	if err != nil {
		err = c.rawFailed("write", err)
	} else if w.err != nil {
		err = c.failed("write", w.err)
	}
	return n, err
}

// Close implements [net.Conn].
func (c *Conn) Close() error {
	err := c.file.Close()
	if err != nil {
		err = c.failed("close", err)
	}
	return err
}

// CloseWrite closes the writing half, as net/http does where a client may not have
// been heard to its end.
func (c *Conn) CloseWrite() error {
	var failed error
	err := c.Raw().Control(func(fd uintptr) { failed = syscall.Shutdown(int(fd), syscall.SHUT_WR) })
	if err == nil && failed != nil {
		err = c.failed("shutdown", failed)
	}
	return err
}

// failed returns an error of the file as package net has it.
func (c *Conn) failed(op string, err error) error {
	if err == io.EOF { //nolint:errorlint // It stands for itself, and for nothing that wraps it.
		return err
	}
	if inner, ok := errors.AsType[*fs.PathError](err); ok {
		err = inner.Err
	}
	if errors.Is(err, os.ErrClosed) {
		err = net.ErrClosed
	} else if errno, ok := errors.AsType[syscall.Errno](err); ok {
		call := op
		if op == "dial" {
			call = "connect"
		}
		err = os.NewSyscallError(call, errno)
	}
	return &net.OpError{Op: op, Net: "tcp", Addr: c.RemoteAddr(), Err: err}
}

// LocalAddr implements [net.Conn].
func (c *Conn) LocalAddr() net.Addr {
	var sa syscall.Sockaddr // Nil, which is no address, if the connection is closed.
	_ = c.raw.Control(func(fd uintptr) { sa, _ = syscall.Getsockname(int(fd)) })
	return net.TCPAddrFromAddrPort(addrPortOf(sa))
}

// RemoteAddr implements [net.Conn].
func (c *Conn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(c.peer) }

// Peer is RemoteAddr.
func (c *Conn) Peer() netip.AddrPort { return c.peer }

// SetDeadline implements [net.Conn].
func (c *Conn) SetDeadline(t time.Time) error { return c.noDeadline(c.file.SetDeadline(t)) }

// SetReadDeadline implements [net.Conn].
func (c *Conn) SetReadDeadline(t time.Time) error { return c.noDeadline(c.file.SetReadDeadline(t)) }

// SetWriteDeadline implements [net.Conn].
func (c *Conn) SetWriteDeadline(t time.Time) error { return c.noDeadline(c.file.SetWriteDeadline(t)) }

// noDeadline returns the error of a file that has taken no deadline. One that is
// closed says so in words of its own.
func (c *Conn) noDeadline(err error) error {
	if err != nil && !errors.Is(err, os.ErrNoDeadline) {
		err = net.ErrClosed
	}
	if err != nil {
		err = c.failed("set", err)
	}
	return err
}

// A rawConn is a Conn's socket, whose errors are a Conn's.
type rawConn Conn

// Control implements [syscall.RawConn].
func (c *rawConn) Control(f func(fd uintptr)) error {
	return (*Conn)(c).rawFailed("raw", c.raw.Control(f))
}

// Read implements [syscall.RawConn].
func (c *rawConn) Read(f func(fd uintptr) bool) error {
	return (*Conn)(c).rawFailed("raw", c.raw.Read(f))
}

// Write implements [syscall.RawConn].
func (c *rawConn) Write(f func(fd uintptr) bool) error {
	return (*Conn)(c).rawFailed("raw", c.raw.Write(f))
}

// rawFailed returns an error of raw as package net has it. What is not the deadline
// is that the file is closed, which has no name here.
func (c *Conn) rawFailed(op string, err error) error {
	switch {
	case err == nil:
		return nil
	case !errors.Is(err, os.ErrDeadlineExceeded):
		err = net.ErrClosed
	}
	return c.failed(op, err)
}

// addrPortOf returns the address that a system call has told.
func addrPortOf(sa syscall.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *syscall.SockaddrInet6:
		addr := netip.AddrFrom16(sa.Addr).Unmap() // Who comes by IPv4 to an address of both.
		if sa.ZoneId != 0 {
			if link, err := net.InterfaceByIndex(int(sa.ZoneId)); err == nil {
				addr = addr.WithZone(link.Name)
			}
		}
		return netip.AddrPortFrom(addr, uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// sockaddrOf returns an address without a zone for a system call.
func sockaddrOf(addr netip.AddrPort) (domain int, sa syscall.Sockaddr) {
	if addr.Addr().Is4() {
		return syscall.AF_INET, &syscall.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	}
	return syscall.AF_INET6, &syscall.SockaddrInet6{Port: int(addr.Port()), Addr: addr.Addr().As16()}
}

// options sets what package net sets for a connection that is to have [KeepAlive].
func options(fd int, keepAlive bool) error {
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil || !keepAlive {
		return err
	}
	for _, option := range alive {
		if err := syscall.SetsockoptInt(fd, option.level, option.name, option.value); err != nil {
			return err
		}
	}
	return nil
}

// alive is [KeepAlive] for the kernel, in seconds, with what package net takes where
// it says nothing.
var alive = [...]struct{ level, name, value int }{
	{syscall.SOL_SOCKET, syscall.SO_KEEPALIVE, 1},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE, 15},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL, int(KeepAlive.Interval.Seconds())},
	{syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT, 9},
}
