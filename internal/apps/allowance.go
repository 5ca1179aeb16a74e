package apps

import (
	"sync"
	"time"
)

const (
	// maxRevoked bounds how many targets an app takes back on this node in the time
	// for which revocations are kept, and maxAllRevoked those of all apps: who has
	// a key must not take the room that the site's operators need.
	maxRevoked, maxAllRevoked = 10_000, 20_000
	// maxAsked and maxAllAsked bound the token requests whose nonces are remembered:
	// together they take little more than half of what a node can remember, since
	// tickets of all routes are spent there, too.
	maxAsked, maxAllAsked = 200_000, 600_000
	// keepAsked is for how long a nonce is remembered at most.
	keepAsked = 3 * leeway
	// keepRevoked is for how long revocations are kept where nothing else is said.
	keepRevoked = 24 * time.Hour
)

// An allowance counts what the apps have of something that is kept for a while.
type allowance struct {
	each, total int // How much one app may have, and all of them. Immutable.

	mu sync.Mutex
	// Guarded by mu.
	until map[string][]time.Time // Until when each is kept, by app.
	all   int
}

// take counts one more, unless there are as many as there may be.
func (a *allowance) take(app string, now time.Time, keep time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(app, now)
	if a.all >= a.total {
		for other := range a.until {
			a.forget(other, now)
		}
	}
	if len(a.until[app]) >= a.each || a.all >= a.total {
		return false
	}
	if a.until == nil {
		a.until = make(map[string][]time.Time)
	}
	a.until[app] = append(a.until[app], now.Add(keep))
	a.all++
	return true
}

// giveBack takes the last one back, which came to nothing.
func (a *allowance) giveBack(app string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if list := a.until[app]; len(list) > 1 {
		a.until[app] = list[:len(list)-1]
	} else {
		delete(a.until, app)
	}
	a.all--
}

// forget drops what is not kept any more. Callers hold mu.
func (a *allowance) forget(app string, now time.Time) {
	list := a.until[app]
	n := 0
	for n < len(list) && !now.Before(list[n]) {
		n++
	}
	a.all -= n
	switch n {
	case 0:
	case len(list):
		delete(a.until, app)
	default:
		a.until[app] = list[n:]
	}
}
