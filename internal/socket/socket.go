// Package socket has TCP connections that take few system calls to make: package
// net asks the kernel for both addresses of each one, sets options one by one, and
// has a goroutine beside each attempt to connect. It is for the gateway, which has
// two connections for each client, and all but KeepAlive is there on Linux only:
// elsewhere its callers use package net. It knows nothing of what connections are for.
package socket

import (
	"net"
	"net/netip"
	"time"
)

// KeepAlive has the kernel find out that a peer is gone, as package net does, but at
// another interval than the first time: 15 s, which is net's for both. Where both are
// the same, thousands of connections that were opened at once are asked at once again
// and again, those whose question was lost with all others. From one program to
// another of its machine the kernel loses what is above net.core.netdev_max_backlog,
// 1000 packets, which are the same ones each time, until it ends their connections:
// of 19,000 some 3,000 after two and a half minutes. Their peers were not told, since
// that was lost too.
var KeepAlive = net.KeepAliveConfig{Enable: true, Interval: 10 * time.Second}

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
