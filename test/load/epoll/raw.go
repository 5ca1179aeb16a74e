//go:build linux

package epoll

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// These are system calls that do not block, for which the scheduler need not be
// told: what it does about a call that takes longer, with a thread of its own, is
// a fifth of the client's time otherwise.

// read reads what a socket has. p is not empty.
func read(fd int, p []byte) (int, error) { return raw(unix.SYS_READ, fd, p) }

// write writes what a socket takes. p is not empty.
func write(fd int, p []byte) (int, error) { return raw(unix.SYS_WRITE, fd, p) }

func raw(call uintptr, fd int, p []byte) (int, error) {
	n, _, errno := unix.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

// wait waits until connections are ready, for a tenth of a second at most. It
// blocks only where none is.
func (c *Client) wait() (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(c.poll), uintptr(unsafe.Pointer(&c.ready[0])), uintptr(len(c.ready)), 0, 0, 0)
	if errno == 0 && n > 0 {
		return int(n), nil
	}
	return unix.EpollWait(c.poll, c.ready, 100) // Whatever went wrong goes wrong again.
}
