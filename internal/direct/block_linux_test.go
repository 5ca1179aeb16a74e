//go:build !386 && !race

package direct_test

import (
	"errors"
	"syscall"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/direct"
)

// A socket that blocks does not block here: nothing else could have the processor.
func TestSocketThatBlocks(t *testing.T) {
	var caller direct.Caller
	const wait = 2 * time.Second // What the kernel would wait for.
	a, _ := pair(t)
	limit := syscall.NsecToTimeval(wait.Nanoseconds())
	err := errors.Join(
		syscall.SetNonblock(int(a), false),
		syscall.SetsockoptTimeval(int(a), syscall.SOL_SOCKET, syscall.SO_RCVTIMEO, &limit),
		syscall.SetsockoptTimeval(int(a), syscall.SOL_SOCKET, syscall.SO_SNDTIMEO, &limit),
	)
	if err != nil {
		t.Fatal(err)
	}
	begun := time.Now()
	if n, errno := caller.Read(a, make([]byte, 1)); n > 0 || errno != syscall.EAGAIN {
		t.Errorf("nothing to read: got %d, %v, want EAGAIN", n, errno)
	}
	var errno syscall.Errno
	for errno == 0 { // Until there is no room.
		_, errno = caller.Write(a, make([]byte, 1<<20))
	}
	if errno != syscall.EAGAIN {
		t.Errorf("no room: got %v, want EAGAIN", errno)
	}
	if took := time.Since(begun); took >= wait {
		t.Errorf("took %v, want no wait", took)
	}
}
