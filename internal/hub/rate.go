package hub

import (
	"sync"
	"sync/atomic"
	"time"
)

// A rate counts what comes in a second: the time at which all of it would be
// due, had it come evenly. The zero value has seen nothing.
type rate struct {
	due atomic.Int64 // In nanoseconds since 1970.
}

// take reports whether n more may come now, where perSecond may, and twice as
// many at once. Those that may not are not counted.
func (r *rate) take(n, perSecond int) bool {
	if perSecond <= 0 {
		return true
	}
	return r.spend(n, time.Second/time.Duration(perSecond), 2*time.Second)
}

// spend is take where one may come in each time, and so many at once as come in
// the time ahead.
func (r *rate) spend(n int, each, ahead time.Duration) bool {
	now := time.Now().UnixNano()
	for {
		was := r.due.Load()
		due := max(was, now) + int64(n)*int64(each)
		if due > now+int64(ahead) {
			return false
		}
		if r.due.CompareAndSwap(was, due) {
			return true
		}
	}
}

// Rates are rates by name, for who holds clients to rates of their own. The zero
// value has seen nothing. Those that have nothing due are forgotten, so that it
// holds no more names than were counted within a few seconds.
type Rates struct {
	mu sync.Mutex
	// Guarded by mu.
	by   map[string]*rate
	full int // How many names there are when it is looked for what can be forgotten.
}

// minRates is how many names are held before it is looked for what can be
// forgotten.
const minRates = 64

// Take reports whether n more of a name may come now, where perSecond may, which
// may be less than one: twice as many at once, and one in any case. Where that is
// 0 or less none may. Those that may not are not counted.
func (r *Rates) Take(name string, n int, perSecond float64) bool {
	if perSecond <= 0 {
		return false
	}
	const longest = 24 * time.Hour
	each := time.Duration(min(float64(time.Second)/perSecond, float64(longest)))
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.by[name]
	if one == nil {
		r.forget()
		one = new(rate)
		r.by[name] = one
	}
	return one.spend(n, each, max(2*time.Second, each))
}

// forget makes room, where there are many names. Callers hold mu.
func (r *Rates) forget() {
	if r.by == nil {
		r.by = make(map[string]*rate)
	}
	if len(r.by) < max(r.full, minRates) {
		return
	}
	now := time.Now().UnixNano()
	for name, one := range r.by {
		if one.due.Load() <= now {
			delete(r.by, name)
		}
	}
	r.full = 2 * len(r.by)
}
