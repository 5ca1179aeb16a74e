package hub

// What a ring holds at most.
const (
	ringEntries = 4096
	ringBytes   = 4 << 20
)

// A ring has the newest entries of a channel. They are counted, so that a
// cursor is a number: next is that of the entry after the newest. The zero
// value is not usable. It is the channel's to guard.
type ring struct {
	slots []*Entry // A power of two, or none; the entry i is at i modulo its length.
	first uint64   // Of the oldest entry.
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

func (r *ring) len() int { return int(r.next - r.first) }

func (r *ring) at(i uint64) *Entry { return r.slots[i&uint64(len(r.slots)-1)] }

func (r *ring) put(i uint64, e *Entry) { r.slots[i&uint64(len(r.slots)-1)] = e }

// grow makes room for one more.
func (r *ring) grow() {
	if r.len() < len(r.slots) {
		return
	}
	old := *r
	r.slots = make([]*Entry, max(4, 2*len(old.slots)))
	for i := r.first; i < r.next; i++ {
		r.put(i, old.at(i))
	}
}

// push adds the newest entry, and drops the oldest where there are too many.
func (r *ring) push(e *Entry) {
	r.grow()
	r.put(r.next, e)
	r.next++
	r.bytes += e.size()
	r.head = e.Position
	for r.len() > 1 && (r.len() > ringEntries || r.bytes > ringBytes) {
		r.drop()
	}
}

// drop forgets the oldest entry.
func (r *ring) drop() {
	e := r.at(r.first)
	r.put(r.first, nil)
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
		r.slots, r.since = nil, 0
	} else {
		r.since = r.at(r.first).Time
	}
}

// fill puts older entries in front, the newest of them first, as many as fit.
// after is the position after which older, and what the ring had, is all.
func (r *ring) fill(older []*Entry, after Position) {
	r.since = 0
	for _, e := range older {
		if e.Position > r.after {
			continue // It came by push too.
		}
		if r.len() >= ringEntries || r.bytes+e.size() > ringBytes {
			r.after = e.Position
			return
		}
		r.grow()
		r.first--
		r.put(r.first, e)
		r.bytes += e.size()
	}
	r.after = min(r.after, after)
}

// seek returns the number of the first entry after a position.
func (r *ring) seek(p Position) uint64 {
	lo, hi := r.first, r.next
	for lo < hi {
		if mid := lo + (hi-lo)/2; r.at(mid).Position <= p {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
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
