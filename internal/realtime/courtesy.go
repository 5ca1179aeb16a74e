package realtime

import (
	"runtime"
	"time"
)

// A courtesy is what a writer shows to all else that runs: before it writes to a
// client it lets them have their turn. What was published at once comes from a log
// that is written to a disk one message after the other, by way of several
// goroutines: whoever wrote to a thousand clients meanwhile would hold up the second
// message with the first, and write each by itself. Where nothing else runs nobody
// waits. A writer that has waited writes for as long before it does so again, so
// that it has its share where others always have something to do.
type courtesy struct{ until time.Time }

func (c *courtesy) show() {
	before := time.Now()
	if before.Before(c.until) {
		return
	}
	runtime.Gosched()
	now := time.Now()
	c.until = now.Add(now.Sub(before))
}
