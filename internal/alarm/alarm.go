// Package alarm rings many alarms by one timer. A timer of package time is 128
// bytes with what it calls, and more in the runtime, which is much for each of ten
// thousand idle connections; an alarm is a part of what it is for. The package
// knows nothing of that. The Guard's leases and the hub's connections are its
// callers.
package alarm

import (
	"container/heap"
	"math"
	"sync"
	"time"
)

// A Ringer is told when its alarm rings, in a goroutine in which nobody waits for
// it.
type Ringer interface{ Ring() }

// A Clock rings alarms. The zero value is ready for use. It must not be copied
// after first use.
type Clock struct {
	mu sync.Mutex
	// Guarded by mu.
	alarms alarms
	timer  *time.Timer   // Nil while there are none.
	begun  time.Time     // When that was made. Times are since then.
	next   time.Duration // When the timer fires. No alarm is to ring before.
}

// An Alarm rings once for each time that it is set. The zero value is not set. It
// must not be copied after first use.
type Alarm struct {
	// Guarded by the clock's mu.
	ringer Ringer // Nil: it is not set.
	at     time.Duration
	place  int // Among the clock's alarms.
}

// Set has an alarm ring after a time, and not when it was to before.
func (c *Clock) Set(a *Alarm, r Ringer, after time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer == nil {
		c.begun, c.next = time.Now(), math.MaxInt64
		c.timer = time.AfterFunc(math.MaxInt64, c.ring)
	}
	now := time.Since(c.begun)
	at := now + min(max(after, 0), math.MaxInt64-now)
	if a.ringer == nil {
		a.ringer, a.at = r, at
		heap.Push(&c.alarms, a)
	} else {
		a.ringer, a.at = r, at
		heap.Fix(&c.alarms, a.place)
	}
	if c.alarms[0].at < c.next {
		c.wind(now)
	}
}

// Stop has an alarm not ring. It may be about to, all the same.
func (c *Clock) Stop(a *Alarm) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.ringer == nil {
		return
	}
	heap.Remove(&c.alarms, a.place)
	a.ringer = nil
	if len(c.alarms) == 0 {
		c.timer.Stop()
		c.timer, c.alarms = nil, nil
	}
}

// wind sets the timer for the first alarm. Callers hold mu.
func (c *Clock) wind(now time.Duration) {
	c.next = c.alarms[0].at
	c.timer.Reset(c.next - now)
}

// ring is called by the timer. It may be one that was stopped too late.
func (c *Clock) ring() {
	c.mu.Lock()
	now := time.Since(c.begun)
	var own Ringer
	for len(c.alarms) > 0 && c.alarms[0].at <= now {
		a := heap.Pop(&c.alarms).(*Alarm)
		if own != nil {
			go own.Ring()
		}
		own, a.ringer = a.ringer, nil
	}
	if len(c.alarms) > 0 {
		c.wind(now)
	} else {
		c.timer, c.alarms = nil, nil
	}
	c.mu.Unlock()
	if own != nil {
		own.Ring() // The goroutine is its own.
	}
}

// alarms are a heap: none rings before the one that is half as far down.
type alarms []*Alarm

// Len implements heap.Interface, as the others do.
func (l alarms) Len() int { return len(l) }

func (l alarms) Less(i, k int) bool { return l[i].at < l[k].at }

func (l alarms) Swap(i, k int) {
	l[i], l[k] = l[k], l[i]
	l[i].place, l[k].place = i, k
}

func (l *alarms) Push(x any) {
	a := x.(*Alarm)
	a.place = len(*l)
	*l = append(*l, a)
}

func (l *alarms) Pop() any {
	last := len(*l) - 1
	a := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return a
}
