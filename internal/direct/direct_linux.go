//go:build linux && !386 && !race

package direct

import (
	"syscall"
	"unsafe"
)

const (
	// enough is how many calls there are to one that is ordinary: some 150 ms of
	// short writes.
	enough = 16384
	// long is how many bytes take so long that others should run meanwhile. A write
	// of that many is ordinary, and so is the call after a read of that many.
	long = 4096
)

// A Caller makes calls. The zero value is ready for use, by one goroutine at a time.
type Caller struct{ n int } // The calls since an ordinary one.

// Read reads what a socket has, as [syscall.Read] does where the socket does not
// block. p is not empty. Without an error errno is 0.
func (c *Caller) Read(fd uintptr, p []byte) (n int, errno syscall.Errno) {
	return c.call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

// Write writes what a socket takes, as [syscall.Write] does where the socket does not
// block. p is not empty. Without an error errno is 0.
func (c *Caller) Write(fd uintptr, p []byte) (n int, errno syscall.Errno) {
	return c.call(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func (c *Caller) call(trap, fd uintptr, p []byte, flags uintptr) (int, syscall.Errno) {
	var n uintptr
	var errno syscall.Errno
	if c.n >= enough || trap == syscall.SYS_SENDTO && len(p) >= long {
		c.n = 0
		n, _, errno = syscall.Syscall6(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) //nolint:gosec // As package syscall does.
	} else {
		n, _, errno = syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) //nolint:gosec // As package syscall does.
		c.n++
	}
	if errno != 0 {
		return -1, errno
	}
	if n >= long {
		c.n = enough
	}
	return int(n), 0
}
