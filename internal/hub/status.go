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

// Counts are how much has gone through an app, or the hub, on this node since it
// began. Bytes are as [Message.Size] has them, and those of Delivered as they were
// written.
type Counts struct {
	// Published are messages that clients have published, also those that the log
	// did not take, and Presence such presence events.
	Published, PublishedBytes int64
	Presence, PresenceBytes   int64
	// Delivered are messages that were written to clients, one for each of them.
	Delivered, DeliveredBytes int64
	// Opened are the connections that were made. Connections and Channels are those
	// that there are now.
	Opened, Connections, Channels int64
}

// plus is the sum of both.
func (n Counts) plus(other Counts) Counts {
	n.Published += other.Published
	n.PublishedBytes += other.PublishedBytes
	n.Presence += other.Presence
	n.PresenceBytes += other.PresenceBytes
	n.Delivered += other.Delivered
	n.DeliveredBytes += other.DeliveredBytes
	n.Opened += other.Opened
	n.Connections += other.Connections
	n.Channels += other.Channels
	return n
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

// Counts returns how much has gone through all apps, also those that are no more.
func (h *Hub) Counts() Counts {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.gone
	for _, a := range h.apps {
		n = n.plus(a.Counts())
	}
	return n
}
