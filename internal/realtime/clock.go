package realtime

import (
	"errors"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// clockAt is a time on the server's clock, which nobody sets.
func (s *Server) clockAt(now time.Time) time.Duration { return now.Sub(s.begun) }

// adopt takes a grant, and looks when its end is near.
func (t *transport) adopt(g *Grant) {
	t.grant.Store(g)
	t.state.conn.Withdraw(func(channel string) bool { return g.may("presence", channel) })
	now := time.Now()
	t.tmu.Lock()
	defer t.tmu.Unlock()
	switch left := g.Expires.Sub(now); {
	case g.Expires.IsZero(), left < promptLeast: // A client with such tokens does not want to be asked.
		t.prompt = 0
	default:
		t.prompt = t.server.clockAt(now) + max(left-promptAhead, promptApart)
	}
	if t.ticks && !t.stopped {
		t.server.clock.Set(&t.alarm, t, 0)
	}
}

var heartbeat = &ably.ProtocolMessage{Action: ably.ActionHeartbeat}

// tick sends a heartbeat when nothing else has gone out for long, asks for a
// fresh token when this one is about to end, and gives up a client that says
// nothing to a Ping.
func (t *transport) tick() {
	now := time.Now()
	silent := time.Duration(now.UnixNano() - t.heard.Load())
	if silent > 3*t.set.maxIdle {
		_ = t.conn.Close() // Which the reader sees.
		return
	}
	if t.due(now) {
		t.send(&ably.ProtocolMessage{Action: ably.ActionAuth})
	}
	// A client allows for some more than maxIdle; a little less is on the safe side.
	every := t.set.maxIdle - t.set.maxIdle/10
	quiet := t.out.idle(now)
	var b []byte
	if quiet >= every {
		quiet = 0
		b = frame(t.set.format, heartbeat)
	}
	if silent > every { // Also who gets much may have nothing to say.
		b = append(b, ping...)
	}
	t.out.send(b)
	t.again(now, every-quiet)
}

var ping = control(ws.OpPing, nil)

// again has tick called after wait, or when the token's end is near.
func (t *transport) again(now time.Time, wait time.Duration) {
	t.tmu.Lock()
	defer t.tmu.Unlock()
	if t.prompt > 0 {
		wait = min(wait, t.prompt-t.server.clockAt(now))
	}
	if !t.stopped {
		t.ticks = true
		t.server.clock.Set(&t.alarm, t, max(wait, time.Millisecond))
	}
}

// Ring implements [alarm.Ringer].
func (t *transport) Ring() { t.tick() }

// due reports, once for each token, that it is time for another.
func (t *transport) due(now time.Time) bool {
	t.tmu.Lock()
	defer t.tmu.Unlock()
	if t.prompt == 0 || t.server.clockAt(now) < t.prompt {
		return false
	}
	t.prompt = 0
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
	p.Error = p.Error.Explained(why.ID)
	return frame(t.set.format, p)
}
