//go:build linux && !386 && !race

package direct

import (
	"sync"
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

// A tally counts the calls since an ordinary one, by one processor or so.
type tally struct{ n int }

var tallies = sync.Pool{New: func() any { return new(tally) }}

// Read reads what a socket has, as [syscall.Read] does where the socket does not
// block. p is not empty.
func Read(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_RECVFROM, fd, p, syscall.MSG_DONTWAIT)
}

// Write writes what a socket takes, as [syscall.Write] does where the socket does not
// block. p is not empty.
func Write(fd uintptr, p []byte) (int, error) {
	return call(syscall.SYS_SENDTO, fd, p, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL)
}

func call(trap, fd uintptr, p []byte, flags uintptr) (int, error) {
	t, _ := tallies.Get().(*tally)
	defer tallies.Put(t)
	var n uintptr
	var errno syscall.Errno
	if t.n >= enough || trap == syscall.SYS_SENDTO && len(p) >= long {
		t.n = 0
		n, _, errno = syscall.Syscall6(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) //nolint:gosec // As package syscall does.
	} else {
		n, _, errno = syscall.RawSyscall6(trap, fd, uintptr(unsafe.Pointer(&p[0])), uintptr(len(p)), flags, 0, 0) //nolint:gosec // As package syscall does.
		t.n++
	}
	if errno != 0 {
		return -1, errno
	}
	if n >= long {
		t.n = enough
	}
	return int(n), nil
}
