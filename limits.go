package usher

import (
	"net/netip"
	"sync"
	"time"
)

// Limits bounds all that waits for a verdict or for a goodbye. A zero field
// has its default.
type Limits struct {
	// Pending is how many sockets may be without a verdict, or on their way
	// out, at one time. At the bound the newest is refused with 503.
	// Default: 1000.
	Pending int
	// PendingPerAddress is the same for one client: an IPv4 address, or an
	// IPv6 network of 64 bits. At the bound the newest is refused with 429.
	// Default: 20.
	PendingPerAddress int
	// FirstMessage is how long a client has, from the handshake, to send its
	// first message whole. Default: 10 s.
	FirstMessage time.Duration
	// Verify is how long a verifier may take. It should be short: browsers
	// hold back other handshakes to the same address. Default: 3 s.
	Verify time.Duration
}

const (
	defaultPending           = 1000
	defaultPendingPerAddress = 20
	defaultFirstMessage      = 10 * time.Second
	defaultVerify            = 3 * time.Second
)

func (l Limits) withDefaults() Limits {
	if l.Pending <= 0 {
		l.Pending = defaultPending
	}
	if l.PendingPerAddress <= 0 {
		l.PendingPerAddress = defaultPendingPerAddress
	}
	if l.FirstMessage <= 0 {
		l.FirstMessage = defaultFirstMessage
	}
	if l.Verify <= 0 {
		l.Verify = defaultVerify
	}
	return l
}

// A waitingRoom counts the sockets that wait for a verdict or for their
// goodbye. At a bound the newest is turned away; nobody inside is put out.
type waitingRoom struct {
	// Immutable after the first request.
	max, maxPerAddress int

	mu sync.Mutex
	// Guarded by mu.
	total      int
	perAddress map[netip.Prefix]int
}

// enter takes a place for the client at addr, which leave gives back. Its
// errors are errFull and errFullAddress.
func (p *waitingRoom) enter(addr netip.Prefix) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.perAddress[addr] >= p.maxPerAddress {
		return errFullAddress
	}
	if p.total >= p.max {
		return errFull
	}
	if p.perAddress == nil {
		p.perAddress = make(map[netip.Prefix]int)
	}
	p.total++
	p.perAddress[addr]++
	return nil
}

func (p *waitingRoom) leave(addr netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.perAddress[addr]--; p.perAddress[addr] == 0 {
		delete(p.perAddress, addr)
	}
}

func (p *waitingRoom) occupied() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Pending returns how many sockets are without a verdict, or on their way out:
// what [Limits.Pending] bounds.
func (g *Guard) Pending() int { return g.compile().room.occupied() }

// clientNetwork is what counts as one client: an IPv4 address, or the 64-bit
// network of an IPv6 address, since whoever has one address there has them all.
func clientNetwork(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap().WithZone("")
	bits := 64
	if addr.Is4() {
		bits = 32
	}
	p, err := addr.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // No address, as on a Unix socket: all are one.
	}
	return p
}
