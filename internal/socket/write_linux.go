package socket

import (
	"sync"
	"syscall"

	"github.com/usher-ws/usher/internal/direct"
)

// A writing is a write under way.
type writing struct {
	caller direct.Caller
	rest   []byte
	err    error
	try    func(fd uintptr) bool // The method of its name, made once.
}

var writes = sync.Pool{New: func() any {
	w := new(writing)
	w.try = w.tryRaw
	return w
}}

// write writes all of p, or fails. Its error is that of raw, else err is the
// kernel's.
func (w *writing) write(raw syscall.RawConn, p []byte) (int, error) {
	w.rest, w.err = p, nil
	err := raw.Write(w.try)
	n := len(p) - len(w.rest)
	w.rest = nil
	return n, err
}

// tryRaw is for RawConn.Write. It reports whether all was written, or cannot be.
func (w *writing) tryRaw(fd uintptr) (over bool) {
	for len(w.rest) > 0 {
		n, errno := w.caller.Write(fd, w.rest)
		switch errno {
		case 0:
			w.rest = w.rest[n:]
		case syscall.EINTR:
		case syscall.EAGAIN:
			return false
		default:
			w.err = errno
			return true
		}
	}
	return true
}
