package rest

import (
	"cmp"
	"net/http"
	"strconv"
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
			c.query.Set(name, strconv.FormatInt(t.UnixMilli(), 10))
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
