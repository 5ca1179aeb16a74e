package usher

import (
	"net/netip"
	"sync"
)

// A waitingRoom counts the sockets that wait for a verdict or for their
// goodbye. At a bound the newest is turned away; nobody inside is put out.
type waitingRoom struct {
	// Immutable after the first request.
	max, maxPerAddress int // The second is 0 where clients are not counted.

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
	counted := p.maxPerAddress != 0
	if counted && p.perAddress[addr] >= p.maxPerAddress {
		return errFullAddress
	}
	if p.total >= p.max {
		return errFull
	}
	p.total++
	if counted {
		if p.perAddress == nil {
			p.perAddress = make(map[netip.Prefix]int)
		}
		p.perAddress[addr]++
	}
	return nil
}

func (p *waitingRoom) leave(addr netip.Prefix) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.total--
	if p.maxPerAddress == 0 {
		return
	}
	if p.perAddress[addr]--; p.perAddress[addr] == 0 {
		delete(p.perAddress, addr)
	}
}

func (p *waitingRoom) occupied() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.total
}

// Pending returns how many sockets wait for their first message or are on their
// way out: what [Limits.Pending] bounds.
func (g *Guard) Pending() int { return g.compile().room.occupied() }
