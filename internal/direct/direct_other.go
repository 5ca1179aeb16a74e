//go:build unix && (!linux || 386 || race)

package direct

import (
	"errors"
	"syscall"
)

// A Caller makes calls.
type Caller struct{}

// Read is [syscall.Read].
func (*Caller) Read(fd uintptr, p []byte) (n int, errno syscall.Errno) {
	return result(syscall.Read(int(fd), p))
}

// Write is [syscall.Write].
func (*Caller) Write(fd uintptr, p []byte) (n int, errno syscall.Errno) {
	return result(syscall.Write(int(fd), p))
}

func result(n int, err error) (int, syscall.Errno) {
	errno, _ := errors.AsType[syscall.Errno](err) // All are.
	return n, errno
}
