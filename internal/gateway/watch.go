package gateway

import (
	"errors"
	"math"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher"
)

// clock is the time since the tunnel began, in nanoseconds. Whoever sets the
// machine's clock does not change it.
func (t *tunnel) clock() int64 { return int64(time.Since(t.begun)) }

// A stamp is the time on a tunnel's clock at which bytes last went one way.
type stamp struct{ v atomic.Int64 }

// begin notes that bytes are written now.
func (s *stamp) begin(now int64) { s.v.Store(^now) }

// end notes that those of begin were.
func (s *stamp) end(now int64) { s.v.Store(now) }

// last returns when it was, and whether they are still being written.
func (s *stamp) last() (at int64, busy bool) {
	if at = s.v.Load(); at < 0 {
		return ^at, true
	}
	return at, false
}

// watch ends the tunnel when nothing went either way for the route's idle time,
// or when the client is dead. The function that it returns stops it.
func (t *tunnel) watch() (stop func()) {
	first := t.idle
	if every := t.pings.every; every > 0 && (first <= 0 || every < first) {
		first = every
	}
	if first <= 0 {
		return func() {}
	}
	var timer *time.Timer
	timer = time.AfterFunc(math.MaxInt64, func() {
		if wait, over := t.tick(); !over {
			timer.Reset(wait) // First, since ask may be stuck.
			t.ask()
		}
	})
	timer.Reset(first)
	return func() {
		timer.Stop()
		t.wmu.Lock() // A Ping that is on its way is waited for.
		defer t.wmu.Unlock()
		t.mute = true
	}
}

// tick ends the tunnel if that is due. It returns how long it need not be called
// again, or that the tunnel is over.
func (t *tunnel) tick() (wait time.Duration, over bool) {
	if t.ctx.Err() != nil {
		return 0, true
	}
	now := t.clock()
	wait = math.MaxInt64
	if t.idle > 0 {
		heard, _ := t.heard.last()
		told, _ := t.told.last()
		if wait = t.idle - time.Duration(now-max(heard, told)); wait <= 0 {
			t.end("idle", errIdle)
			return 0, true
		}
	}
	if t.pings.every > 0 {
		next, dead := t.look(now)
		if dead {
			t.end("unresponsive", errUnresponsive)
			return 0, true
		}
		wait = min(wait, next)
	}
	return wait, false
}

// end has the Guard end the connection.
func (t *tunnel) end(word string, cause error) {
	usher.End(t.ctx, &usher.Refusal{
		Status: http.StatusRequestTimeout, Code: usher.CloseGoingAway, Word: word, Cause: cause,
	})
}

var errIdle = errors.New("nothing was sent for the route's idle time")
