package rest

import (
	"sync"

	"github.com/usher-ws/usher/internal/ably"
)

// underWay counts the calls that are being answered. Beyond a bound the newest is
// refused; nobody waits. That each key has less than its app, and each client less
// than its key, leaves something for the others. Who has not been judged is not
// counted, so that nobody can have others refused without a credential of theirs.
// The zero value has counted nothing.
type underWay struct {
	mu sync.Mutex
	// Guarded by mu.
	by map[underWayOf]int
}

// An underWayOf is whose calls they are: a client's, a key's, or an app's.
type underWayOf struct {
	app  string
	what byte // 'a'pp, 'k'ey, 'c'lient or 'l'isting.
	name string
}

// A share is what one of these has, and may have.
type share struct {
	of        underWayOf
	work, may int
	whose     string
}

// shares are those that a call counts for.
func (c *call) shares(w work) []share {
	limits, g, n := c.app.Limits(), c.grant, int(w)
	list := append(make([]share, 0, 3), share{underWayOf{g.App, 'a', ""}, n, limits.Calls, "the app"})
	if g.Key != "" {
		list = append(list, share{underWayOf{g.App, 'k', g.Key}, n, limits.KeyCalls, "the key"})
	}
	if g.Client != "" {
		list = append(list, share{underWayOf{g.App, 'c', g.Holder}, n, limits.ClientCalls, "the client"})
	}
	return list
}

// listing is the share of who lists the channels of the app: one at a time does.
func (c *call) listing() []share { return []share{{underWayOf{c.grant.App, 'l', ""}, 1, 1, "the app"}} }

// beyond is why a call is one too many.
func (s *share) beyond() *ably.ErrorInfo {
	if s.of.what == 'l' {
		return ably.Err(ably.ListingChannels)
	}
	return ably.Errorf(ably.RateLimited, "%s has as many calls under way as it may", s.whose)
}

// begin counts a call until done is called, or says why it is one too many.
func (u *underWay) begin(shares []share) (done func(), bad *ably.ErrorInfo) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range shares {
		if s.may > 0 && u.by[s.of]+s.work > s.may {
			return nil, s.beyond()
		}
	}
	if u.by == nil {
		u.by = make(map[underWayOf]int)
	}
	for _, s := range shares {
		u.by[s.of] += s.work
	}
	return func() { u.end(shares) }, nil
}

func (u *underWay) end(shares []share) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, s := range shares {
		if u.by[s.of] -= s.work; u.by[s.of] == 0 {
			delete(u.by, s.of)
		}
	}
}
