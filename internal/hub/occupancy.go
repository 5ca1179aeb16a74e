package hub

import "time"

// Occupancy is how many use a channel.
type Occupancy struct {
	Connections         int
	Publishers          int
	Subscribers         int
	PresenceConnections int // Who may be present.
	PresenceMembers     int
	PresenceSubscribers int
}

// plus is the sum of those who are attached.
func (o Occupancy) plus(other Occupancy) Occupancy {
	o.Connections += other.Connections
	o.Publishers += other.Publishers
	o.Subscribers += other.Subscribers
	o.PresenceConnections += other.PresenceConnections
	o.PresenceSubscribers += other.PresenceSubscribers
	return o
}

// occupancyEvery is how often a change of occupancy is told, at most.
const occupancyEvery = time.Second

// occupancy counts those who are attached here. The channel guards it.
type occupancy struct {
	now     Occupancy
	others  Occupancy // On other nodes, as far as this one has asked.
	told    Occupancy
	watched int // How many attachments want to know.
	timer   *time.Timer
}

func (o *occupancy) join(a *Attachment)  { o.count(a, 1) }
func (o *occupancy) leave(a *Attachment) { o.count(a, -1) }

func (o *occupancy) count(a *Attachment, n int) {
	o.now.Connections += n
	for _, of := range []struct {
		mode Mode
		n    *int
	}{
		{Publish, &o.now.Publishers},
		{Subscribe, &o.now.Subscribers},
		{BePresent, &o.now.PresenceConnections},
		{SeePresence, &o.now.PresenceSubscribers},
	} {
		if a.modes&of.mode != 0 {
			*of.n += n
		}
	}
	if a.watches {
		o.watched += n
	}
}

func (o *occupancy) end() {
	if o.timer != nil {
		o.timer.Stop()
	}
}

// occupied is the occupancy. Callers hold mu.
func (c *channel) occupied() Occupancy {
	o := c.occupancy.now.plus(c.occupancy.others)
	o.PresenceMembers = len(c.members.all)
	return o
}

// changed tells those who want to know that the occupancy has changed: now, or
// when that is not too soon after the last time. Callers hold mu.
func (c *channel) changed() {
	o := &c.occupancy
	if o.watched == 0 || o.timer != nil || c.ended {
		return
	}
	c.tell()
	o.timer = time.AfterFunc(occupancyEvery, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		o.timer = nil
		if c.occupied() != o.told {
			c.changed()
		}
	})
}

// tell tells all who want to know. Callers hold mu.
func (c *channel) tell() {
	now := c.occupied()
	if now == c.occupancy.told {
		return
	}
	c.occupancy.told = now
	for _, a := range c.readers {
		if a.watches {
			c.show(a)
		}
	}
}

// show tells one how it is. Callers hold mu.
func (c *channel) show(a *Attachment) {
	now := c.occupied()
	a.pending = &now
	a.wake()
}
