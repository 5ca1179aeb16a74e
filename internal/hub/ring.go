package hub

import "slices"

// What a ring holds at most.
const (
	ringEntries = 4096
	ringBytes   = 4 << 20
)

// A ring has the newest entries of a channel. They are counted, so that a
// cursor is a number: next is that of the entry after the newest. The zero
// value is not usable. It is the channel's to guard.
type ring struct {
	list  queue[*Entry]
	first uint64 // Of the oldest entry.
	next  uint64
	since int64 // When the oldest entry was published, or an earlier time: it need not be looked at.
	bytes int
	after Position // All entries after it are here.
	head  Position // Of the newest entry, or what after was at first.
}

func newRing(after Position) ring {
	// The count begins far from zero, since entries are put in front too.
	return ring{first: 1 << 62, next: 1 << 62, after: after, head: after}
}

func (r *ring) len() int { return r.list.len() }

func (r *ring) at(i uint64) *Entry { return r.list.at(int(i - r.first)) }

// push adds the newest entry, and drops the oldest where there are too many.
func (r *ring) push(e *Entry) {
	r.list.push(e)
	r.next++
	r.bytes += e.size()
	r.head = e.Position
	for r.len() > 1 && (r.len() > ringEntries || r.bytes > ringBytes) {
		r.drop()
	}
}

// drop forgets the oldest entry.
func (r *ring) drop() {
	e := r.list.at(0)
	r.list.drop()
	r.after = e.Position
	r.bytes -= e.size()
	r.first++
}

// expire forgets what was published before a time, in milliseconds.
func (r *ring) expire(before int64) {
	if r.since >= before {
		return
	}
	for r.len() > 0 && r.at(r.first).Time < before {
		r.drop()
	}
	if r.len() == 0 {
		r.since = 0
	} else {
		r.since = r.at(r.first).Time
	}
}

// fill puts older entries in front, the newest of them first, as many as fit.
// after is the position after which older, and what the ring had, is all.
func (r *ring) fill(older []*Entry, after Position) {
	r.since = 0
	var fit []*Entry
	for _, e := range older {
		if e.Position > r.after {
			continue // It came by push too.
		}
		if r.len()+len(fit) >= ringEntries || r.bytes+e.size() > ringBytes {
			after = e.Position
			break
		}
		fit = append(fit, e)
		r.bytes += e.size()
	}
	var list queue[*Entry]
	for _, e := range slices.Backward(fit) {
		list.push(e)
	}
	for i := range r.len() {
		list.push(r.list.at(i))
	}
	r.list = list
	r.first -= uint64(len(fit))
	r.after = min(r.after, after)
}

// seek returns the number of the first entry after a position.
func (r *ring) seek(p Position) uint64 {
	return r.first + uint64(r.list.count(func(e *Entry) bool { return e.Position <= p }))
}

// find returns what of a range is here, if all of it is: else false.
func (r *ring) find(g Range) ([]*Entry, bool) {
	if g.To == 0 {
		g.To = r.head
	}
	var list []*Entry
	if !g.Backwards {
		if g.After < r.after {
			return nil, false
		}
		for i := r.seek(g.After); i < r.next && len(list) < g.Limit && r.at(i).Position <= g.To; i++ {
			list = append(list, r.at(i))
		}
		return list, true
	}
	for i := r.seek(g.To); i > r.first && len(list) < g.Limit; i-- {
		e := r.at(i - 1)
		if e.Position <= g.After {
			return list, true
		}
		list = append(list, e)
	}
	return list, len(list) == g.Limit || g.After >= r.after
}
