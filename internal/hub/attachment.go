package hub

import (
	"context"
	"time"
)

// A Mode is what an attachment does with its channel: some of those below.
type Mode uint8

// The modes.
const (
	Publish Mode = 1 << iota
	Subscribe
	BePresent
	SeePresence
)

// A Waker is told that an attachment has something to take. It is called while
// the channel is locked: it must not block, and not call the hub.
type Waker interface{ Wake(a *Attachment) }

// Attaching says how to attach.
type Attaching struct {
	// Modes are what the attachment is for.
	Modes Mode
	// From is the position up to which the client has seen everything. Default:
	// it begins with what comes next.
	From Position
	// History lets From be as old as what the channel keeps. Default: as old as
	// clients that were cut off come back with.
	History bool
	// Rewind begins with the last so many messages, and RewindFor with those of
	// so long ago, where From is not set. Default: none.
	Rewind    int
	RewindFor time.Duration
	// Occupancy is set by who wants to know how the channel's occupancy changes.
	Occupancy bool
	// NoEcho leaves out what its own connection publishes.
	NoEcho bool
	// Stay is the connection's [Connection.Stay] of the transport that attaches: once
	// that is lost, ErrLost refuses it, so that it cannot take the place of the next
	// one's. Default: that of a connection that never was lost.
	Stay int
	// Waker is told when there is something to take. Required.
	Waker Waker
}

// An Attachment is a cursor on a channel's ring. One goroutine at a time takes
// from it.
type Attachment struct {
	// Immutable.
	connection *Connection
	channel    *channel
	waker      Waker
	since      int64 // What was published before it the client is not to see.
	// Position is where it begins: what is taken comes after it.
	Position Position
	// Resumed says that it goes on at From, and Lost that it cannot, so that it
	// begins with what comes next. Backlog says that there is something to take,
	// and Peopled that somebody was present.
	Resumed, Lost, Backlog, Peopled bool

	// Owned by who takes.
	next uint64
	past *past // What it has yet to take of what is older than the ring. Nil once it is in the ring.
	// synced is up to where Present says all of presence that is to be known. Of
	// what came before nothing is taken: a member that has entered then may have
	// gone with its node, which no entry says.
	synced Position
	alone  bool // Nobody else reads from the channel.

	// Guarded by the channel's lock. Who holds it for reading may set the first
	// two, as the one who takes.
	awake   bool       // The waker was told, and not all was taken.
	pending *Occupancy // To be taken.
	resync  bool       // Who is present was not told by entries.
	modes   Mode
	noEcho  bool
	watches bool
	behind  bool
	slot    int // In the channel's readers; -1 once it is detached.
}

// A past is what is read from the log.
type past struct {
	until Position // Up to where it was read.
	page  []*Entry // What was read, and not taken.
}

// Channel is the name of its channel.
func (a *Attachment) Channel() string { return a.channel.name.Channel }

// wake is called under the channel's lock.
func (a *Attachment) wake() {
	if !a.awake {
		a.awake = true
		a.waker.Wake(a)
	}
}

// Take appends to list what is to be taken, limit entries at most, in order.
// Where it returns none there is none, and the Waker is told of the next one;
// else there may be more. ErrBehind says that some were dropped: the client has
// to attach again, with the position of what it saw last. ErrNotAttached comes
// after a Detach. Only where it resumes from before the ring does it wait for the
// log.
func (a *Attachment) Take(ctx context.Context, list []*Entry, limit int) ([]*Entry, error) {
	before := len(list)
	for a.past != nil && len(list) == before {
		if err := a.turn(ctx); err != nil {
			return list, err
		}
		if p := a.past; p != nil {
			n := min(limit, len(p.page))
			list = append(list, p.page[:n]...)
			p.page = p.page[n:]
		}
	}
	if len(list) > before {
		return list, nil
	}
	return a.takeNew(list, limit)
}

// Alone reports, to who takes, whether nobody else on this node gets what was taken.
func (a *Attachment) Alone() bool { return a.alone }

// takeNew is Take from the ring.
func (a *Attachment) takeNew(list []*Entry, limit int) ([]*Entry, error) {
	before := len(list)
	c := a.channel
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case a.slot < 0:
		return list, ErrNotAttached
	case a.behind, a.next < c.ring.first:
		return list, ErrBehind
	}
	a.alone = len(c.readers) == 1
	for ; a.next < c.ring.next && len(list)-before < limit; a.next++ {
		// After a resume by a node that is behind, what the client has seen is skipped.
		if e := c.ring.at(a.next); e.Position > a.Position && a.wants(e) {
			list = append(list, e)
		}
	}
	if a.next == c.ring.next && len(list) == before {
		if a.awake = false; a.pending != nil || a.resync { // It came after it was asked for.
			a.wake()
		}
	}
	return list, nil
}

// pageEntries is how many entries an attachment reads from the log at once. It
// holds them until they are taken, and any may be as large as a publish may be.
const pageEntries = 32

// turn reads the next page of what is older than the ring, if the last one was
// taken, or goes over to the ring.
func (a *Attachment) turn(ctx context.Context) error {
	p := a.past
	if len(p.page) > 0 {
		return nil
	}
	if done, err := a.reachRing(); done || err != nil {
		return err
	}
	log, name := a.channel.app.hub.log, a.channel.name
	list, err := log.Read(ctx, name, Range{After: p.until, Limit: pageEntries})
	if err != nil {
		return err
	}
	after, _, err := log.Bounds(ctx, name)
	if err != nil {
		return err
	}
	if after > p.until || len(list) == 0 { // Some were dropped: the ring had them once.
		return ErrBehind
	}
	p.until = list[len(list)-1].Position
	a.channel.mu.RLock()
	defer a.channel.mu.RUnlock()
	for _, e := range list {
		if a.wants(e) {
			p.page = append(p.page, e)
		}
	}
	return nil
}

// reachRing goes over to the ring, if that begins with what is to be taken next.
func (a *Attachment) reachRing() (done bool, err error) {
	c := a.channel
	c.mu.RLock()
	defer c.mu.RUnlock()
	switch {
	case a.slot < 0:
		return false, ErrNotAttached
	case a.behind:
		return false, ErrBehind
	case a.past.until < c.ring.after:
		return false, nil
	}
	a.next, a.past = c.ring.seek(a.past.until), nil
	return true, nil
}

// wants reports whether the client is to see an entry. Presence that it has
// entered itself it always sees.
func (a *Attachment) wants(e *Entry) bool {
	if e.Time < a.since {
		return false
	}
	own := e.ConnectionID != "" && e.ConnectionID == a.connection.id
	if e.Kind == Presence {
		return (own || a.modes&SeePresence != 0) && e.Position > a.synced
	}
	return a.modes&Subscribe != 0 && (!own || !a.noEcho)
}

// TakeOccupancy returns how the channel's occupancy has changed, if it has since
// it was last asked, else nil.
func (a *Attachment) TakeOccupancy() *Occupancy {
	a.channel.mu.RLock()
	defer a.channel.mu.RUnlock()
	o := a.pending
	a.pending = nil
	return o
}

// TakeMembers returns all members where there is news of them that no entry
// tells, and whether there is.
func (a *Attachment) TakeMembers() ([]*Message, bool) {
	a.channel.mu.RLock()
	news := a.resync
	a.resync = false
	a.channel.mu.RUnlock()
	if !news {
		return nil, false
	}
	return a.Present(), true
}

// Modes are what it is for.
func (a *Attachment) Modes() Mode {
	a.channel.mu.RLock()
	defer a.channel.mu.RUnlock()
	return a.modes
}

// Change gives it other modes.
func (a *Attachment) Change(modes Mode, occupancy bool) {
	c := a.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.slot < 0 {
		return
	}
	c.occupancy.leave(a)
	a.modes, a.watches = modes, occupancy
	c.occupancy.join(a)
	c.changed()
	if occupancy {
		c.show(a)
	}
}

// Present returns the members, as they are now.
func (a *Attachment) Present() []*Message {
	a.channel.mu.Lock()
	defer a.channel.mu.Unlock()
	return a.channel.members.list()
}

// attach makes a cursor. c is open.
func (c *channel) attach(ctx context.Context, conn *Connection, o Attaching) (*Attachment, error) {
	a := &Attachment{
		connection: conn, channel: c, waker: o.Waker, modes: o.Modes, noEcho: o.NoEcho, watches: o.Occupancy, slot: -1,
	}
	if o.From != 0 {
		a.since = c.reach(o.History)
	}
	if err := c.prepare(ctx, a, o); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || !c.isOpen() {
		return nil, ErrUnavailable
	}
	c.place(a, o)
	a.Peopled = len(c.members.all) > 0
	a.slot = len(c.readers)
	c.readers = append(c.readers, a)
	c.occupancy.join(a)
	c.changed()
	if o.Occupancy {
		c.show(a)
	}
	if a.Backlog {
		a.wake()
	}
	return a, nil
}

// detach takes the cursor from the channel, if it is there.
func (a *Attachment) detach() bool {
	c := a.channel
	c.mu.Lock()
	defer c.mu.Unlock()
	if a.slot < 0 {
		return false
	}
	last := len(c.readers) - 1
	c.readers[a.slot] = c.readers[last]
	c.readers[a.slot].slot = a.slot
	c.readers[last] = nil
	c.readers = c.readers[:last]
	a.slot = -1
	c.occupancy.leave(a)
	c.changed()
	return true
}
