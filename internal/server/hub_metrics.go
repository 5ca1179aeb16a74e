package server

import (
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

// Append implements [hub.Log].
func (l timedLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	begun := time.Now()
	l.Log.Append(e, func(at hub.Position, err error) {
		l.metrics.Appended(time.Since(begun), err)
		then(at, err)
	})
}
