//go:build unix && (!linux || 386 || race)

package direct

import "syscall"

// Read is [syscall.Read].
func Read(fd uintptr, p []byte) (int, error) { return syscall.Read(int(fd), p) }

// Write is [syscall.Write].
func Write(fd uintptr, p []byte) (int, error) { return syscall.Write(int(fd), p) }
