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
func (r *rate) take(now time.Time, n, perSecond int) bool {
	if perSecond <= 0 {
		return true
	}
	return r.spend(now, n, time.Second/time.Duration(perSecond), 2*time.Second)
}

// spend is take where one may come in each time, and so many at once as come in
// the time ahead.
func (r *rate) spend(at time.Time, n int, each, ahead time.Duration) bool {
	now := at.UnixNano()
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

// Rates are rates by holder and name, for who holds clients to rates of their own.
// The zero value has seen nothing. Those that have nothing due are forgotten.
type Rates struct {
	mu sync.Mutex
	// Guarded by mu.
	by    map[string]*holder
	swept time.Time
}

// A holder has the rates of one holder by their names.
type holder struct {
	by    map[string]*rate
	swept time.Time
}

const (
	// minRates is how many names or holders there are before it is looked for those
	// that can be forgotten, once in sweepEvery.
	minRates = 64
	// maxNames bounds the names of one holder that have something due, which low
	// rates have for long. More are refused.
	maxNames = 1024
	// maxHolders bounds the holders. Beyond it any of them gives way: one alone must
	// not have others refused.
	maxHolders = 1 << 16
)

// Take reports whether n more of a holder's name may come now, where perSecond may,
// which may be less than one: twice as many at once, and one in any case. Where that
// is 0 or less none may, nor for one more name where the holder has 1024 with
// something due. Those that may not are not counted.
func (r *Rates) Take(of, name string, n int, perSecond float64) bool {
	if perSecond <= 0 {
		return false
	}
	const longest = 24 * time.Hour
	each := time.Duration(min(float64(time.Second)/perSecond, float64(longest)))
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	one := r.holder(of, now).rate(name, now)
	return one != nil && one.spend(now, n, each, max(2*time.Second, each))
}

// holder returns that of a name. Callers hold mu.
func (r *Rates) holder(of string, now time.Time) *holder {
	if h := r.by[of]; h != nil {
		return h
	}
	if len(r.by) >= minRates && now.Sub(r.swept) >= sweepEvery {
		r.swept = now
		for other, h := range r.by {
			if h.forget(now); len(h.by) == 0 {
				delete(r.by, other)
			}
		}
	}
	if len(r.by) >= maxHolders {
		for other := range r.by {
			delete(r.by, other)
			break
		}
	}
	if r.by == nil {
		r.by = make(map[string]*holder)
	}
	h := &holder{by: make(map[string]*rate, 1)}
	r.by[of] = h
	return h
}

// rate returns that of a name, or nil where there are too many.
func (h *holder) rate(name string, now time.Time) *rate {
	if one := h.by[name]; one != nil {
		return one
	}
	if len(h.by) >= minRates && now.Sub(h.swept) >= sweepEvery {
		h.forget(now)
	}
	if len(h.by) >= maxNames {
		return nil
	}
	one := new(rate)
	h.by[name] = one
	return one
}

// forget drops the names that have nothing due.
func (h *holder) forget(now time.Time) {
	h.swept = now
	for name, one := range h.by {
		if one.due.Load() <= now.UnixNano() {
			delete(h.by, name)
		}
	}
}
