package socket

import (
	"errors"
	"io"
	"syscall"
	"time"
)

// A Room is where to read to, for as long as there is something to read.
type Room interface {
	// Take returns the room. It is not empty.
	Take() []byte
	// Leave gives it back: there is nothing to read, and that may last.
	Leave()
}

// Await waits until there is something to read, and reads it. Where it has to wait,
// which it sees before it sets the deadline, that is until then.
func (c *Conn) Await(deadline time.Time, room Room) (n int, err error) {
	waits := false
	var failed error
	err = c.Raw().Read(func(fd uintptr) bool {
		for {
			n, failed = syscall.Read(int(fd), room.Take())
			switch {
			case errors.Is(failed, syscall.EINTR):
				continue
			case !errors.Is(failed, syscall.EAGAIN):
				return true
			}
			room.Leave()
			if waits {
				return false
			}
			waits, failed = true, c.SetReadDeadline(deadline)
			return failed != nil
		}
	})
	switch {
	case err != nil:
		return 0, err
	case failed != nil:
		return 0, c.failed("read", failed)
	case n == 0:
		return 0, io.EOF
	}
	if waits {
		err = c.SetReadDeadline(time.Time{})
	}
	return n, err
}

// Gone reports whether the peer has closed its half of the connection, or reset
// it, and nothing is left to be read before that.
func (c *Conn) Gone() bool {
	var n int
	var failed error
	err := c.raw.Control(func(fd uintptr) {
		var one [1]byte
		n, _, failed = syscall.Recvfrom(int(fd), one[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
	})
	switch {
	case err != nil:
		return true
	case errors.Is(failed, syscall.EAGAIN), errors.Is(failed, syscall.EINTR):
		return false
	}
	return failed != nil || n == 0
}
