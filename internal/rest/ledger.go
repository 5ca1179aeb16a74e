package rest

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
)

// sampleEvery is how often the hub's counters are read, so that what was counted
// goes to the interval that it belongs to.
const sampleEvery = 5 * time.Second

// stats are what apps have done on this node since it began, by intervals.
type stats struct {
	registry *apps.Registry
	ended    chan struct{}
	wg       sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	ledgers map[string]*ledger // By app.
}

// A ledger is what one app has done.
type ledger struct {
	app      *hub.App   // Whose it is: one that is made with its id begins anew.
	last     hub.Counts // As they were when they were read last.
	requests counts     // Since then.
	units    map[ably.Unit][]*bucket
}

// start reads counters until stop.
func (s *stats) start(r *apps.Registry) {
	s.registry, s.ended, s.ledgers = r, make(chan struct{}), make(map[string]*ledger)
	s.wg.Go(func() {
		t := time.NewTicker(sampleEvery)
		defer t.Stop()
		for {
			select {
			case now := <-t.C:
				s.sample(now)
			case <-s.ended:
				return
			}
		}
	})
}

func (s *stats) stop() {
	close(s.ended)
	s.wg.Wait()
}

// ledger returns that of an app. Callers hold mu.
func (s *stats) ledger(app string) *ledger {
	is, l := s.registry.App(app), s.ledgers[app]
	if l == nil || l.app != is {
		l = &ledger{app: is, requests: make(counts), units: make(map[ably.Unit][]*bucket)}
		s.ledgers[app] = l
	}
	return l
}

// request counts a call that was answered.
func (s *stats) request(c *call, succeeded bool) {
	app := ""
	switch {
	case c.grant != nil:
		app = c.grant.App
	case isTokenRequest(c.path):
		name, _ := ably.ParseKeyName(c.path[1])
		app = name.App
	}
	if app == "" || s.registry.App(app) == nil { // Nobody makes a ledger by asking.
		return
	}
	outcome := "failed"
	if succeeded {
		outcome = "succeeded"
	}
	kind := "other"
	if isTokenRequest(c.path) {
		kind = "tokenRequests"
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger(app)
	l.requests["apiRequests.all."+outcome]++
	l.requests["apiRequests."+kind+"."+outcome]++
}

// sample reads the counters of all apps.
func (s *stats) sample(now time.Time) {
	all := s.registry.All()
	s.mu.Lock()
	defer s.mu.Unlock()
	for id := range s.ledgers {
		if s.registry.App(id) == nil {
			delete(s.ledgers, id)
		}
	}
	for _, app := range all {
		if app == nil || app != s.registry.App(app.ID()) { // It was removed just now.
			continue
		}
		l, counted := s.ledger(app.ID()), app.Counts()
		news := counts{}
		news.merge(l.requests)
		news.merge(since(l.last, counted))
		l.last, l.requests = counted, make(counts)
		l.add(now, news)
	}
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
			one := &ably.Stats{Interval: unit.Interval(b.begin), Unit: unit, App: app, Entries: maps.Clone(b.counts)}
			if unit.Begin(now).Equal(b.begin) {
				one.InProgress = ably.Minute.Interval(now)
			}
			list = append(list, one)
		}
	}
	return list, false
}

// since is what was counted between two readings, by the names of the wire.
func since(last, now hub.Counts) counts {
	c := counts{}
	count := func(name string, n, bytes int64) {
		for _, name := range []string{name, "messages.all.all"} {
			c.merge(counts{name + ".count": n, name + ".data": bytes})
		}
	}
	messages, messageBytes := now.Published-last.Published, now.PublishedBytes-last.PublishedBytes
	events, eventBytes := now.Presence-last.Presence, now.PresenceBytes-last.PresenceBytes
	count("messages.inbound.all.messages", messages, messageBytes)
	count("messages.inbound.all.presence", events, eventBytes)
	c.merge(counts{"messages.inbound.all.all.count": messages + events, "messages.inbound.all.all.data": messageBytes + eventBytes})
	count("messages.outbound.all.all", now.Delivered-last.Delivered, now.DeliveredBytes-last.DeliveredBytes)
	c.merge(counts{
		"connections.all.opened": now.Opened - last.Opened, "connections.all.peak": now.Connections, "channels.peak": now.Channels,
	})
	return c
}

// set says what was counted in the minute that begins at a time, whatever was said
// of it before.
func (s *stats) set(app string, minute time.Time, all counts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger(app)
	news := maps.Clone(all)
	for name, n := range l.find(ably.Minute, minute).counts {
		if !isPeak(name) {
			news[name] -= n
		}
	}
	l.add(minute, news)
}

func (l *ledger) add(at time.Time, news counts) {
	for name, n := range news {
		if n == 0 {
			delete(news, name)
		}
	}
	if len(news) == 0 {
		return
	}
	for unit := range keeps {
		l.find(unit, unit.Begin(at)).counts.merge(news)
	}
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

func isPeak(name string) bool { return strings.HasSuffix(name, "peak") }
