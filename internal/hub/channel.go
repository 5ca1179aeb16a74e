package hub

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// A channel is one that somebody uses on this node: its ring, who reads from
// that, and who is present.
type channel struct {
	// Immutable.
	app   *App
	name  Name
	space Namespace
	// busy holds whoever opens the channel or fills its ring.
	busy chan struct{}
	in   *entrance

	follow atomic.Bool // It follows its log.

	// Guarded by the app's lock.
	holders int
	idle    time.Time // Since when nobody holds it.

	mu sync.RWMutex
	// Guarded by mu.
	ring      ring
	filled    bool     // The ring has what the log had before the channel was opened, as far as it fits.
	early     []*Entry // Came before the channel was open.
	overrun   bool     // More came than early holds.
	begun     bool     // The ring is, though other nodes may have yet to say who is present.
	stop      func()
	spent     func() // A stop that has yet to be called.
	ended     bool
	readers   []*Attachment
	members   members
	enterers  map[*Connection]struct{} // Connections that have entered somebody.
	entering  map[memberKey]struct{}   // Of this node, of whom the log has yet to tell.
	occupancy occupancy
}

func newChannel(a *App, name string) *channel {
	full := a.name(name)
	return &channel{
		app: a, name: full, space: a.namespace(name), idle: time.Now(),
		busy: make(chan struct{}, 1), in: &entrance{name: full},
	}
}

func (c *channel) isOpen() bool { return c.follow.Load() }

// enter waits until nobody else opens or fills the channel. leave ends that.
func (c *channel) enter(ctx context.Context) error {
	select {
	case c.busy <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (c *channel) leave() { <-c.busy }

// open makes the channel follow its log.
func (c *channel) open(ctx context.Context) error {
	if c.isOpen() {
		return nil
	}
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	if c.isOpen() {
		return nil
	}
	from, stop, err := c.app.hub.log.Follow(ctx, c.name, c.deliver, c.lost)
	if err != nil {
		return fmt.Errorf("follow channel: %w", err)
	}
	if !c.begin(from, stop) {
		stop()
		return fmt.Errorf("follow channel: %w", ErrBehind)
	}
	c.meet(ctx)
	c.follow.Store(true)
	return nil
}

func (c *channel) begin(from Position, stop func()) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	early := c.early
	c.early = nil
	if c.overrun || c.ended {
		c.overrun = false
		return false
	}
	c.ring, c.filled, c.stop, c.begun = newRing(from), false, stop, true
	c.members = members{touched: make(map[memberKey]struct{})} // See meet.
	c.entering = nil                                           // They are among those.
	for _, e := range early {
		c.take(e)
	}
	return true
}

// deliver is told of every new entry.
func (c *channel) deliver(e *Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.ended:
	case c.begun:
		c.take(e)
	case len(c.early) < ringEntries:
		c.early = append(c.early, e)
	default:
		c.overrun = true
	}
}

// take appends an entry to the ring, and wakes who reads. Callers hold mu.
func (c *channel) take(e *Entry) {
	if e.Position <= c.ring.head {
		return
	}
	c.ring.push(e)
	c.ring.expire(e.Time - c.space.Retention.Milliseconds())
	if e.Kind == Presence {
		for i := range e.Messages {
			delete(c.entering, memberKey{e.Messages[i].ConnectionID, e.Messages[i].ClientID})
		}
		if c.members.apply(e) {
			c.changed()
		}
	}
	for _, a := range c.readers {
		a.wake()
	}
}

// lost is told that the log has lost its place: nobody can go on from here.
func (c *channel) lost() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spent, c.stop, c.begun = c.stop, nil, false // It waits for the caller: see expire.
	c.follow.Store(false)
	for _, a := range c.readers {
		a.behind = true
		a.wake()
	}
}

// end stops following. The channel is not used any more.
func (c *channel) end() {
	c.mu.Lock()
	stop, spent := c.stop, c.spent
	c.stop, c.spent, c.ended = nil, nil, true
	c.occupancy.end()
	c.follow.Store(false)
	c.mu.Unlock()
	for _, f := range []func(){stop, spent} {
		if f != nil {
			f()
		}
	}
}

// expire drops what was there for longer than the channel keeps it.
func (c *channel) expire(now time.Time) {
	c.mu.Lock()
	if c.ring.len() > 0 {
		c.ring.expire(now.Add(-c.space.Retention).UnixMilli())
	}
	spent := c.spent
	c.spent = nil
	c.mu.Unlock()
	if spent != nil {
		spent()
	}
}

// readEntries is how many entries are read from the log at once for a ring or a
// page: they are bounded by count only, and any may be large.
const readEntries = 64

// fill reads into the ring what the log had before the channel was opened, once.
func (c *channel) fill(ctx context.Context) error {
	if err := c.enter(ctx); err != nil {
		return err
	}
	defer c.leave()
	c.mu.RLock()
	filled, to := c.filled, c.ring.after
	c.mu.RUnlock()
	if filled {
		return nil
	}
	older, more, err := c.readOlder(ctx, to)
	if err != nil {
		return fmt.Errorf("fill ring: %w", err)
	}
	after, _, err := c.app.hub.log.Bounds(ctx, c.name)
	if err != nil {
		return fmt.Errorf("fill ring: %w", err)
	}
	if more {
		after = max(after, older[len(older)-1].Position-1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ring.after == to { // Nothing was dropped meanwhile: it is full otherwise.
		c.ring.fill(older, after)
	}
	c.filled = true
	return nil
}

// readOlder reads what the log has up to a position, the newest first, until it
// fills a ring. more says that there may be more.
func (c *channel) readOlder(ctx context.Context, to Position) (older []*Entry, more bool, err error) {
	for size := 0; to > 0; {
		page, err := c.app.hub.log.Read(ctx, c.name, Range{To: to, Backwards: true, Limit: readEntries})
		if err != nil {
			return nil, false, err
		}
		for _, e := range page {
			size += e.size()
		}
		older = append(older, page...)
		switch {
		case len(page) < readEntries:
			return older, false, nil
		case len(older) >= ringEntries, size > ringBytes:
			return older, true, nil
		}
		to = page[len(page)-1].Position - 1
	}
	return older, false, nil
}
