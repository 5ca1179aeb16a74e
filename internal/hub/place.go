package hub

import (
	"context"
	"time"
)

// prepare sees whether a can begin where it is to, and reads into the ring what
// that may have to have.
func (c *channel) prepare(ctx context.Context, a *Attachment, o Attaching) error {
	c.mu.RLock()
	after, head := c.ring.after, c.ring.head
	c.mu.RUnlock()
	rewinds := o.From == 0 && (o.Rewind > 0 || o.RewindFor > 0)
	if !rewinds && (o.From == 0 || o.From >= after && o.From <= head) {
		return nil
	}
	if o.From > head { // From a time when the log was another, or by a node that is ahead of this one.
		_, last, err := c.app.hub.log.Bounds(ctx, c.name)
		if err == nil && o.From > last {
			a.Lost = true
		}
		return err
	}
	if err := c.fill(ctx); err != nil || rewinds {
		return err
	}
	c.mu.RLock()
	after = c.ring.after
	c.mu.RUnlock()
	if o.From >= after {
		return nil
	}
	kept, _, err := c.app.hub.log.Bounds(ctx, c.name)
	if a.Lost = err == nil && kept > o.From; a.Lost || err != nil {
		return err
	}
	first, err := c.app.hub.log.Read(ctx, c.name, Range{After: o.From, Limit: 1})
	a.Lost = len(first) > 0 && first[0].Time < a.since
	return err
}

// reach is since when what was published can be gone on with, in milliseconds
// since 1970: all that the channel keeps is for who may read history.
func (c *channel) reach(history bool) int64 {
	back := c.app.hub.linger
	if history {
		back = max(back, c.space.Retention)
	}
	return time.Now().Add(-back).UnixMilli()
}

// place puts the cursor where it begins. Callers hold mu.
func (c *channel) place(a *Attachment, o Attaching) {
	r := &c.ring
	a.Position, a.next, a.synced = r.head, r.next, r.head
	if i := r.seek(o.From); o.From != 0 && o.From >= r.after && i < r.next && r.at(i).Time < a.since {
		a.Lost = true
	}
	switch {
	case a.Lost:
	case o.From != 0:
		a.Resumed, a.Position, a.next = true, o.From, r.seek(o.From)
		if o.From < r.after {
			a.past = &past{until: o.From}
		}
	case o.Rewind > 0, o.RewindFor > 0:
		a.next = c.rewind(o)
		if a.next > r.first {
			a.Position = r.at(a.next - 1).Position
		} else {
			a.Position = r.after
		}
	}
	a.Backlog = a.past != nil
	for i := a.next; i < r.next && !a.Backlog; i++ {
		a.Backlog = a.wants(r.at(i))
	}
}

// rewind is the number of the entry that a rewind begins with.
func (c *channel) rewind(o Attaching) uint64 {
	r := &c.ring
	since := int64(0)
	if o.RewindFor > 0 {
		since = time.Now().Add(-o.RewindFor).UnixMilli()
	}
	oldest := time.Now().Add(-c.space.Retention).UnixMilli()
	start, n := r.next, 0
	for i := r.next; i > r.first; i-- {
		e := r.at(i - 1)
		if e.Time < max(since, oldest) || o.Rewind > 0 && n >= o.Rewind {
			break
		}
		if e.Kind == Messages {
			start = i - 1
			n += len(e.Messages)
		}
	}
	return start
}
