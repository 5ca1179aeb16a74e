// Package socket has TCP connections that take few system calls to make: package
// net asks the kernel for both addresses of each one, sets options one by one, and
// has a goroutine beside each attempt to connect. It is for the gateway, which has
// two connections for each client, and is there on Linux only: elsewhere its
// callers use package net. It knows nothing of what connections are for.
package socket

import (
	"net/netip"
	"time"
)

// A Call is a connection to be made, and the first that is said on it.
type Call struct {
	// Addr is where to connect to. It has no zone.
	Addr netip.AddrPort
	// Say is written as soon as the connection is there. No answer begins as it does.
	Say []byte
	// Hear is room for the first of the answer.
	Hear []byte
	// Connect is how long it may take until the connection is there, and Answer
	// how long the peer may then take to answer: a deadline for reads, which
	// stays.
	Connect, Answer time.Duration
	// Until has its argument called when nobody waits for the call any more. What
	// it returns takes that back, and reports whether it could.
	Until func(f func()) (stop func() bool)
}
