package rest

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// getStats answers GET /stats.
func (c *call) getStats() (*answer, error) {
	if bad := c.grant.MayAnywhere("stats"); bad != nil {
		return nil, bad
	}
	// Clients still say by, the older name of unit.
	unit, bad := ably.ParseUnit(cmp.Or(c.query.Get("unit"), c.query.Get("by")))
	if bad != nil {
		return nil, bad
	}
	// These may also be intervals.
	begin := func(name string) {
		if t, ok := ably.ParseInterval(c.query.Get(name)); ok {
			c.query.Set(name, millisText(t))
		}
	}
	begin("start")
	begin("end")
	s, err := c.span()
	if err != nil {
		return nil, err
	}
	if s.start != 0 {
		s.start = unit.Begin(time.UnixMilli(s.start)).UnixMilli()
	}
	after := time.Time{}
	if s.cursor != "" {
		var ok bool
		if after, ok = ably.ParseInterval(s.cursor); !ok {
			return nil, ably.Err(ably.StaleCursor)
		}
	}
	list, more := c.server.stats.read(c.grant.App, unit, s, after)
	next := ""
	if more {
		next = list[len(list)-1].Interval
	}
	a := &answer{body: &list, links: c.links(next)}
	if c.version < firstNewForms {
		old := ably.OldStats(list)
		a.body = &old
	}
	return a, nil
}

// postStats answers POST /stats, by which the SDKs' tests say what was counted.
func (c *call) postStats() (*answer, error) {
	if c.server.o.Sandbox == nil {
		return nil, ably.Err(ably.NotFound)
	}
	if !c.grant.Basic {
		return nil, ably.Err(ably.NotPermitted)
	}
	fixtures, err := c.fixtures()
	if err != nil {
		return nil, err
	}
	for _, f := range fixtures {
		c.server.stats.set(c.grant.App, f.at, f.counts)
	}
	return &answer{status: http.StatusCreated, body: &ably.StatsList{}}, nil
}

// read returns the statistics of an app in order, and whether there are more.
func (s *stats) read(app string, unit ably.Unit, sp span, after time.Time) (list ably.StatsList, more bool) {
	s.sample(time.Now())
	s.mu.Lock()
	defer s.mu.Unlock()
	list = ably.StatsList{}
	now := time.Now()
	buckets := s.ledger(app).units[unit]
	if !sp.forwards {
		buckets = slices.Clone(buckets)
		slices.Reverse(buckets)
	}
	for _, b := range buckets {
		at := b.begin.UnixMilli()
		switch {
		case sp.start != 0 && at < sp.start, sp.end != 0 && at > sp.end:
		case !after.IsZero() && (sp.forwards && !b.begin.After(after) || !sp.forwards && !b.begin.Before(after)):
		case len(list) == sp.limit:
			return list, true
		default:
			one := &ably.Stats{Interval: unit.Interval(b.begin), Unit: unit, App: app, Entries: b.counts.clone()}
			if unit.Begin(now).Equal(b.begin) {
				one.InProgress = ably.Minute.Interval(now)
			}
			list = append(list, one)
		}
	}
	return list, false
}

// find returns the bucket of an interval, which is made if there is none.
func (l *ledger) find(unit ably.Unit, begin time.Time) *bucket {
	list := l.units[unit]
	i, found := slices.BinarySearchFunc(list, begin, func(b *bucket, t time.Time) int { return b.begin.Compare(t) })
	if found {
		return list[i]
	}
	b := &bucket{begin: begin, counts: make(counts)}
	list = slices.Insert(list, i, b)
	if n := len(list) - keeps[unit]; n > 0 {
		list = slices.Delete(list, 0, n)
	}
	l.units[unit] = list
	return b
}

// keeps are how many intervals of a unit are kept: a day and more of minutes, a
// month and more of hours, a year and more of days.
var keeps = map[ably.Unit]int{ably.Minute: 1500, ably.Hour: 800, ably.Day: 400, ably.Month: 36}

// A bucket is what was counted in an interval.
type bucket struct {
	begin  time.Time
	counts counts
}

// counts are numbers by their names. Those that end in "peak" are the highest
// there was, the others sums.
type counts map[string]int64

func (c counts) clone() map[string]int64 {
	m := make(map[string]int64, len(c))
	for name, n := range c {
		m[name] = n
	}
	return m
}

// merge adds what was counted.
func (c counts) merge(other counts) {
	for name, n := range other {
		if isPeak(name) {
			c[name] = max(c[name], n)
		} else {
			c[name] += n
		}
	}
}
