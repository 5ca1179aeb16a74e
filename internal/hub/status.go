package hub

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
)

// A Status says how many use a channel.
type Status struct {
	Occupancy Occupancy
	// Active says that somebody uses it, or did a moment ago, as who has published
	// to it.
	Active bool
	// Uncounted says that another node, of an earlier version, did not say how many
	// use it there: Occupancy is not all of it.
	Uncounted bool
}

// status is how this node knows the channel, and whether it knows of all members.
func (c *channel) status() (s Status, whole bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	s = Status{Occupancy: c.occupancy.now, Active: true}
	s.Occupancy.PresenceMembers = len(c.members.all)
	return s, c.isOpen()
}

// Occupied returns how many use a channel, and whether it is active. Its error is
// that other nodes have not said.
func (a *App) Occupied(ctx context.Context, name string) (o Occupancy, active bool, err error) {
	whole := false // This node knows of all members.
	if c := a.known(name); c != nil {
		var s Status
		s, whole = c.status()
		o, active = s.Occupancy, true
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

// A Listed is a channel of a list.
type Listed struct {
	Name string
	Status
	whole bool // PresenceMembers are all.
}

// Channels returns the channels that are active and whose names begin with
// prefix, in order, limit at most, those after the name after. Its error is that
// other nodes have not said. However many they are, the others are asked once: what
// is among the first of all is among the first of each node that has it.
func (a *App) Channels(ctx context.Context, prefix, after string, limit int) ([]Listed, error) {
	all := make(map[string]*Listed)
	for _, name := range a.channelsHere(prefix, after, limit) {
		one := &Listed{Name: name, Status: Status{Active: true}}
		if c := a.known(name); c != nil {
			one.Status, one.whole = c.status()
		}
		all[name] = one
	}
	q := Question{App: a.id, Prefix: prefix, After: after, Limit: limit}
	err := a.hub.ask(ctx, q, func(other Answer) {
		for i, name := range other.Channels {
			one := all[name]
			if one == nil {
				one = &Listed{Name: name, Status: Status{Active: true}}
				all[name] = one
			}
			if i >= len(other.Uses) {
				one.Uncounted = true
				continue
			}
			one.add(other.Uses[i])
		}
	})
	list := make([]Listed, 0, len(all))
	for _, one := range all {
		list = append(list, *one)
	}
	slices.SortFunc(list, func(a, b Listed) int { return strings.Compare(a.Name, b.Name) })
	return list[:min(limit, len(list))], err
}

// add adds what another node says of its own.
func (l *Listed) add(o Occupancy) {
	members := l.Occupancy.PresenceMembers
	if !l.whole {
		members += o.PresenceMembers
	}
	l.Occupancy = l.Occupancy.plus(o)
	l.Occupancy.PresenceMembers = members
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

func (c *counts) published(n, size int) {
	c.messages.Add(int64(n))
	c.messageBytes.Add(int64(size))
}

func (c *counts) presence(n, size int) {
	c.events.Add(int64(n))
	c.eventBytes.Add(int64(size))
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

// Published is how many messages all apps have published, also those that are no
// more: what Counts has, for who asks often.
func (h *Hub) Published() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	n := h.gone.Published
	for _, a := range h.apps {
		n += a.counts.messages.Load()
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
