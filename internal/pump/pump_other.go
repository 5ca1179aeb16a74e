//go:build !unix

package pump

import (
	"net"
	"syscall"
)

// rawOf returns nil: here only the connection itself can wait.
func rawOf(net.Conn) syscall.RawConn { return nil }

func (r *Reader) tryRaw(uintptr) bool { panic("no raw connection") }
