package hub

import (
	"context"
	"time"
)

// A Query asks for a channel's history.
type Query struct {
	// Kind says of what.
	Kind Kind
	// Start and End bound the times, in milliseconds since 1970, inclusive.
	// Default: no bound.
	Start, End int64
	// UpTo leaves out what came after a position. Default: nothing.
	UpTo Position
	// Forwards begins with the oldest. Default: with the newest.
	Forwards bool
	// Limit is how many messages a page has at most. Required. One has fewer where
	// they are large.
	Limit int
	// Page is the Next of the page before. Default: the first page.
	Page Place
}

// A Place is one of a message: a position, and the index of the message there.
type Place struct {
	Position Position
	Index    int
}

// A Past is one message of a channel's history.
type Past struct {
	Entry *Entry
	Index int
}

// Message is the message itself.
func (p Past) Message() *Message { return &p.Entry.Messages[p.Index] }

// Serial is its serial.
func (p Past) Serial() string { return p.Entry.Serial(p.Index) }

// A Page is a part of a channel's history.
type Page struct {
	Messages []Past
	// Next is where the next page begins: after it, in the query's direction. It
	// is nil where there is none.
	Next *Place
}

// History returns a page of a channel's history.
func (a *App) History(ctx context.Context, name string, q Query) (Page, error) {
	c, err := a.opened(ctx, name)
	if err != nil {
		return Page{}, err
	}
	defer c.release()
	if err := c.fill(ctx); err != nil {
		return Page{}, err
	}
	oldest := time.Now().Add(-c.space.Retention).UnixMilli()
	s := &search{q: q, start: max(q.Start, oldest)}
	r := Range{Backwards: !q.Forwards, To: q.UpTo, Limit: min(q.Limit+1, readEntries)}
	if at := q.Page.Position; at != 0 {
		if q.Forwards {
			r.After = at - 1
		} else if r.To == 0 || at < r.To {
			r.To = at
		}
	}
	for {
		list, err := c.read(ctx, r)
		if err != nil {
			return Page{}, err
		}
		for _, e := range list {
			if s.add(e) {
				return s.page, nil
			}
		}
		if len(list) < r.Limit {
			return s.page, nil
		}
		last := list[len(list)-1].Position
		if q.Forwards {
			r.After = last
		} else {
			if r.To = last - 1; r.To == 0 { // There is nothing before it, and 0 is the end.
				return s.page, nil
			}
		}
	}
}

// read reads a range from the ring, or from the log where it is older.
func (c *channel) read(ctx context.Context, r Range) ([]*Entry, error) {
	c.mu.RLock()
	list, ok := c.ring.find(r)
	c.mu.RUnlock()
	if ok {
		return list, nil
	}
	return c.app.hub.log.Read(ctx, c.name, r)
}

// A search gathers a page.
type search struct {
	q     Query
	start int64
	page  Page
	bytes int // Of the entries that it is from.
}

// pageBytes is how much a page holds: with more it ends at the next entry.
const pageBytes = 4 << 20

// add takes what of an entry belongs on the page. It reports whether that is
// all.
func (s *search) add(e *Entry) (full bool) {
	switch {
	case e.Time < s.start:
		return !s.q.Forwards
	case s.q.End > 0 && e.Time > s.q.End:
		return s.q.Forwards
	case e.Kind != s.q.Kind:
		return false
	case s.bytes > pageBytes:
		s.end()
		return true
	}
	s.bytes += e.size()
	n := len(e.Messages)
	for j := range n {
		i := j
		if !s.q.Forwards {
			i = n - 1 - j
		}
		if p := s.q.Page; e.Position == p.Position && (s.q.Forwards && i <= p.Index || !s.q.Forwards && i >= p.Index) {
			continue
		}
		if len(s.page.Messages) == s.q.Limit {
			s.end()
			return true
		}
		s.page.Messages = append(s.page.Messages, Past{e, i})
	}
	return false
}

// end ends a page that has something, where there is more.
func (s *search) end() {
	last := s.page.Messages[len(s.page.Messages)-1]
	s.page.Next = &Place{last.Entry.Position, last.Index}
}
