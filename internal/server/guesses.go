package server

import (
	"net/netip"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// How often a wrong API key is told that it is wrong: so many times at once, and
// then one each so often. An address has more than a key: many clients may be
// behind one.
const (
	wrongOfKey     = 60
	wrongOfAddress = 300
	wrongEach      = 2 * time.Second
	// maxGuessers bounds how many keys and addresses are remembered, in each of
	// two halves.
	maxGuessers = 10_000
	maxGuessed  = 64 // Bytes of a key's id that are looked at: it may be a stranger's text.
)

// guesses slow down who guesses at API keys, by key and by address. A key is
// judged before they are asked, so a good one always comes through: they bound
// what guessing brings, which is a line of the log for each, and not whether it
// can succeed, since the secrets are random. The zero value is ready.
type guesses struct {
	mu sync.Mutex
	// Guarded by mu. When young is full it becomes old, and what is in old and was
	// not asked for since is forgotten.
	young, old map[guesser]*rate.Limiter
}

// A guesser is a key's id, or the network of an address.
type guesser struct {
	key  string
	from netip.Prefix
}

// Wrong notes a wrong secret for a key, which need not exist and may be "", and
// returns how long who sent it has to wait before it is told so again.
func (g *guesses) Wrong(key string, from netip.Addr) (wait time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if key != "" {
		wait = g.spend(guesser{key: strings.Clone(key[:min(len(key), maxGuessed)])}, wrongOfKey, now)
	}
	return max(wait, g.spend(guesser{from: networkOf(from)}, wrongOfAddress, now))
}

// spend takes one of what a guesser has. Who has nothing left does not owe more
// by trying on. Callers hold mu.
func (g *guesses) spend(who guesser, burst int, now time.Time) time.Duration {
	l := g.young[who]
	if l == nil {
		if l = g.old[who]; l == nil {
			l = rate.NewLimiter(rate.Every(wrongEach), burst)
		}
		if len(g.young) >= maxGuessers {
			g.old, g.young = g.young, nil
		}
		if g.young == nil {
			g.young = make(map[guesser]*rate.Limiter)
		}
		g.young[who] = l
	}
	if l.AllowN(now, 1) {
		return 0
	}
	r := l.ReserveN(now, 1)
	defer r.CancelAt(now)
	return r.DelayFrom(now)
}

// networkOf is the network that one client can have: an IPv4 address, or 64 bits
// of IPv6. Those without an address are one.
func networkOf(a netip.Addr) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := 64
	if a.Is4() {
		bits = 32
	}
	p, _ := a.Prefix(bits)
	return p
}
