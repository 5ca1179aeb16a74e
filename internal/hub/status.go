package hub

import (
	"context"
	"slices"
	"sync/atomic"
)

// Occupied returns how many use a channel, and whether it is active: somebody uses
// it, or did a moment ago, as who has published to it. Its error is that other
// nodes have not said.
func (a *App) Occupied(ctx context.Context, name string) (o Occupancy, active bool, err error) {
	whole := false // This node knows of all members.
	if c := a.known(name); c != nil {
		c.mu.RLock()
		o, active, whole = c.occupancy.now, true, c.isOpen()
		o.PresenceMembers = len(c.members.all)
		c.mu.RUnlock()
	}
	err = a.hub.ask(ctx, Question{App: a.id, Channel: name}, func(other Answer) {
		o = o.plus(other.Occupancy)
		active = active || other.Active
		if !whole {
			o.PresenceMembers += len(other.Members)
		}
	})
	return o, active, err
}

// Channels returns the names of channels that are active and begin with prefix,
// in order, limit at most, those after the name after. Its error is that other
// nodes have not said.
func (a *App) Channels(ctx context.Context, prefix, after string, limit int) ([]string, error) {
	list := a.channelsHere(prefix, after, limit)
	err := a.hub.ask(ctx, Question{App: a.id, Prefix: prefix, After: after, Limit: limit}, func(other Answer) {
		list = append(list, other.Channels...)
	})
	slices.Sort(list)
	list = slices.Compact(list)
	return list[:min(limit, len(list))], err
}

// Counts are how much has gone through an app on this node since it began.
type Counts struct {
	Published, PublishedBytes     int64
	Presence, PresenceBytes       int64
	Delivered, DeliveredBytes     int64
	Connections, Channels, Opened int64 // The first two are now.
}

type counts struct {
	messages, messageBytes, events, eventBytes, out, outBytes, opened atomic.Int64
}

func (c *counts) published(list []Message) { add(list, &c.messages, &c.messageBytes) }
func (c *counts) presence(list []Message)  { add(list, &c.events, &c.eventBytes) }

func add(list []Message, n, bytes *atomic.Int64) {
	size := 0
	for i := range list {
		size += list[i].Size()
	}
	n.Add(int64(len(list)))
	bytes.Add(int64(size))
}

// Delivered counts messages that have gone out to clients.
func (a *App) Delivered(messages, bytes int) {
	a.counts.out.Add(int64(messages))
	a.counts.outBytes.Add(int64(bytes))
}

// Counts returns how much has gone through the app.
func (a *App) Counts() Counts {
	c := &a.counts
	n := Counts{
		Published: c.messages.Load(), PublishedBytes: c.messageBytes.Load(),
		Presence: c.events.Load(), PresenceBytes: c.eventBytes.Load(),
		Delivered: c.out.Load(), DeliveredBytes: c.outBytes.Load(), Opened: c.opened.Load(),
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	n.Connections = int64(a.connections)
	for _, c := range a.channels {
		if c.isOpen() {
			n.Channels++
		}
	}
	return n
}
