package server

import (
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/observe"
)

// counts are what the hub has to do on this node.
func (s *hubService) counts() observe.HubCounts {
	n := s.hub.Counts()
	connected, disconnected := s.realtime.Clients()
	return observe.HubCounts{
		Connected: int64(connected), Disconnected: int64(disconnected), Channels: n.Channels,
		In: n.Published + n.Presence, InBytes: n.PublishedBytes + n.PresenceBytes, Out: n.Delivered, OutBytes: n.DeliveredBytes,
	}
}

// refused counts a refusal that a client of the hub is told.
func (k *kept) refused(code ably.Code) { k.metrics.HubRefused(int(code)) }

// A timedLog is the hub's log with its appends counted.
type timedLog struct {
	*engine.Log
	metrics *observe.Metrics
}

// Append implements [hub.Log]. What is in memory is answered at once, and takes no
// time that is worth two looks at the clock.
func (l timedLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	a, _ := timings.Get().(*timing)
	if a.done == nil {
		a.done = a.answered
	}
	a.metrics, a.then, a.begun = l.metrics, then, time.Time{}
	if !l.AtOnce {
		a.begun = time.Now()
	}
	l.Log.Append(e, a.done)
}

// A timing is one append that has yet to be answered. It is used again after that.
type timing struct {
	metrics *observe.Metrics
	begun   time.Time // Zero: it takes no time.
	then    func(hub.Position, error)
	done    func(hub.Position, error) // Its method answered, made once.
}

var timings = sync.Pool{New: func() any { return new(timing) }}

// answered counts the append. It is called once.
func (a *timing) answered(at hub.Position, err error) {
	took := time.Duration(0)
	if !a.begun.IsZero() {
		took = time.Since(a.begun)
	}
	a.metrics.Appended(took, err)
	then := a.then
	a.then = nil
	timings.Put(a)
	then(at, err)
}
