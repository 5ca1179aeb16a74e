package hub

import (
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
	now := time.Now().UnixNano()
	each := int64(time.Second) / int64(perSecond)
	for {
		was := r.due.Load()
		due := max(was, now) + int64(n)*each
		if due > now+2*int64(time.Second) {
			return false
		}
		if r.due.CompareAndSwap(was, due) {
			return true
		}
	}
}
