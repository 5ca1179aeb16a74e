package socket

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
)

// A Listener accepts TCP connections. What it accepts is a *Conn.
type Listener struct {
	file *os.File
	raw  syscall.RawConn
	addr net.Addr
	// Whether what is accepted has the listener's options, which the kernel may
	// hand down. It is looked at once.
	inherits, looked atomic.Bool
}

// Listen is [net.Listen] for TCP.
func Listen(address string) (*Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			_ = options(int(fd), true) // Accept sees whether it is of use.
		})
	}}
	l, err := config.Listen(context.Background(), "tcp", address)
	if err != nil {
		return nil, err
	}
	defer func() { _ = l.Close() }()
	tcp, ok := l.(*net.TCPListener)
	if !ok {
		return nil, errors.New("listener is not of TCP")
	}
	file, err := tcp.File() // That of a TCPListener cannot be waited for.
	if err != nil {
		return nil, err
	}
	raw, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(err, file.Close())
	}
	return &Listener{file: file, raw: raw, addr: l.Addr()}, nil
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	c, err := l.AcceptConn()
	if err != nil {
		return nil, err
	}
	return c, nil
}

// AcceptConn is Accept for who wants it as it is.
func (l *Listener) AcceptConn() (*Conn, error) {
	var fd int
	var peer syscall.Sockaddr
	var failed error
	err := l.raw.Read(func(door uintptr) bool {
		for {
			fd, peer, failed = syscall.Accept4(int(door), syscall.SOCK_NONBLOCK|syscall.SOCK_CLOEXEC)
			switch {
			case errors.Is(failed, syscall.EINTR), errors.Is(failed, syscall.ECONNABORTED): // It went away before.
			default:
				return !errors.Is(failed, syscall.EAGAIN)
			}
		}
	})
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: net.ErrClosed}
	}
	if failed != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: os.NewSyscallError("accept4", failed)}
	}
	if !l.inherits.Load() {
		l.look(fd)
	}
	c, err := newConn(fd, addrPortOf(peer))
	if err != nil {
		return nil, &net.OpError{Op: "accept", Net: "tcp", Addr: l.addr, Err: err}
	}
	return c, nil
}

// look sees to the options of an accepted connection. If the first one has them,
// so have the others.
func (l *Listener) look(fd int) {
	if l.looked.CompareAndSwap(false, true) {
		noDelay, err := syscall.GetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
		has := err == nil && noDelay != 0
		for _, option := range alive {
			value, err := syscall.GetsockoptInt(fd, option.level, option.name)
			has = has && err == nil && value == option.value
		}
		l.inherits.Store(has)
	}
	_ = options(fd, true)
}

// Close implements [net.Listener].
func (l *Listener) Close() error { return l.file.Close() }

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return l.addr }
