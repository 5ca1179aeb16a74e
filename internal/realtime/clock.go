package realtime

import (
	"errors"
	"math"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// adopt takes a grant, and looks when its end is near.
func (t *transport) adopt(g *Grant) {
	t.grant.Store(g)
	t.tmu.Lock()
	defer t.tmu.Unlock()
	if time.Until(g.Expires) < promptLeast { // A client with such tokens does not want to be asked.
		t.prompted = g.Expires
	}
	if t.timer != nil && !t.stopped {
		t.timer.Reset(0)
	}
}

var heartbeat = &ably.ProtocolMessage{Action: ably.ActionHeartbeat}

// tick sends a heartbeat when nothing else has gone out for long, asks for a
// fresh token when this one is about to end, and gives up a client that says
// nothing to a Ping.
func (t *transport) tick() {
	now := time.Now()
	if now.UnixNano()-t.heard.Load() > 3*int64(t.set.maxIdle) {
		_ = t.conn.Close() // Which the reader sees.
		return
	}
	if prompt := t.prompt(now); prompt {
		t.send(&ably.ProtocolMessage{Action: ably.ActionAuth})
	}
	// A client allows for some more than maxIdle; a little less is on the safe side.
	every := t.set.maxIdle - t.set.maxIdle/10
	quiet := t.out.idle(now)
	if quiet >= every {
		quiet = 0
		b := frame(t.set.format, heartbeat)
		if now.UnixNano()-t.heard.Load() > int64(every) {
			b = append(b, ping...)
		}
		t.out.send(b)
	}
	t.again(now, every-quiet)
}

var ping = control(ws.OpPing, nil)

// again has tick called after wait, or when the token's end is near.
func (t *transport) again(now time.Time, wait time.Duration) {
	t.tmu.Lock()
	defer t.tmu.Unlock()
	if g := t.grant.Load(); !g.Expires.IsZero() && !g.Expires.Equal(t.prompted) {
		wait = min(wait, g.Expires.Add(-promptAhead).Sub(now))
	}
	wait = max(wait, time.Millisecond)
	switch {
	case t.stopped:
	case t.timer == nil:
		t.timer = time.AfterFunc(math.MaxInt64, t.tick)
		fallthrough
	default:
		t.timer.Reset(wait)
	}
}

// prompt reports, once for each token, that it is time for another.
func (t *transport) prompt(now time.Time) bool {
	t.tmu.Lock()
	defer t.tmu.Unlock()
	g := t.grant.Load()
	if g.Expires.IsZero() || g.Expires.Equal(t.prompted) || now.Before(g.Expires.Add(-promptAhead)) {
		return false
	}
	t.prompted = g.Expires
	return true
}

// warn is called when the client's token is about to be revoked.
func (t *transport) warn(time.Time) { t.send(&ably.ProtocolMessage{Action: ably.ActionAuth}) }

// goodbye is what the client is told before the Guard closes its connection: how
// it is to come back.
func (t *transport) goodbye(why *usher.Refusal) []byte {
	p := &ably.ProtocolMessage{Action: ably.ActionDisconnected}
	switch {
	case errors.Is(why, usher.ErrExpired):
		p.Error = ably.Err(ably.TokenExpired)
	case errors.Is(why, usher.ErrRevoked):
		p.Error = ably.Err(ably.TokenRevoked)
	case errors.Is(why, usher.ErrForbidden):
		p.Action, p.Error = ably.ActionError, ably.Err(ably.Forbidden)
	default: // The client is as welcome as before.
		p.Error = ably.Err(ably.Disconnected)
	}
	return frame(t.set.format, p)
}
