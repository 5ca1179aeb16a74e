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
	// keepRevoked is for how long revocations are kept where nothing else is said.
	keepRevoked = 24 * time.Hour
)

// An allowance counts what the apps take back. The zero value has counted nothing.
type allowance struct {
	mu sync.Mutex
	// Guarded by mu.
	until map[string][]time.Time // Until when each revocation is kept, by app.
	all   int
}

// take counts one more, unless there are as many as there may be.
func (a *allowance) take(app string, now time.Time, keep time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forget(app, now)
	if a.all >= maxAllRevoked {
		for other := range a.until {
			a.forget(other, now)
		}
	}
	if len(a.until[app]) >= maxRevoked || a.all >= maxAllRevoked {
		return false
	}
	if a.until == nil {
		a.until = make(map[string][]time.Time)
	}
	a.until[app] = append(a.until[app], now.Add(keep))
	a.all++
	return true
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
