package hub_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

// pages reads all pages, and describes them.
func pages(t *testing.T, a *hub.App, q hub.Query) (out string) {
	t.Helper()
	for range 20 {
		p, err := a.History(t.Context(), "chat", q)
		if err != nil {
			t.Fatalf("history: %v", err)
		}
		out += "|"
		for _, m := range p.Messages {
			out += m.Message().Data
		}
		if p.Next == nil {
			return out
		}
		q.Page = *p.Next
	}
	t.Fatal("got no last page")
	return ""
}

func TestHistory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(hub.MemoryLog)
		a := newAppOver(t, l, hub.AppOptions{})
		c := connect(t, a)
		attach(t, c, "chat", hub.Attaching{})
		begin := time.Now().UnixMilli()
		publish(t, c, "chat", "a")
		time.Sleep(time.Second)
		if err := present(c, "chat", "c:0", hub.Enter, "me"); err != nil {
			t.Fatal(err)
		}
		at := publish(t, c, "chat", "b")
		time.Sleep(time.Second)
		if _, err := a.Publish(t.Context(), "", hub.Publication{Channel: "chat", Messages: []hub.Message{{Data: "c"}, {Data: "d"}, {Data: "e"}}}); err != nil {
			t.Fatal(err)
		}
		cold := newAppOver(t, l, hub.AppOptions{})
		for _, tt := range []struct {
			name string
			q    hub.Query
			want string
		}{
			{"all", hub.Query{Limit: 100}, "|edcba"},
			{"forwards", hub.Query{Limit: 100, Forwards: true}, "|abcde"},
			{"pages", hub.Query{Limit: 2}, "|ed|cb|a"},
			{"pages forwards", hub.Query{Limit: 2, Forwards: true}, "|ab|cd|e"},
			{"one by one", hub.Query{Limit: 1}, "|e|d|c|b|a"},
			{"one by one forwards", hub.Query{Limit: 1, Forwards: true}, "|a|b|c|d|e"},
			{"whole pages", hub.Query{Limit: 5}, "|edcba"},
			{"up to", hub.Query{Limit: 2, UpTo: at}, "|ba"},
			{"pages up to", hub.Query{Limit: 1, UpTo: at}, "|b|a"},
			{"start", hub.Query{Limit: 10, Start: begin + 1000}, "|edcb"},
			{"end", hub.Query{Limit: 10, End: begin + 1000}, "|ba"},
			{"start and end, forwards", hub.Query{Limit: 10, Start: begin + 1, End: begin + 1999, Forwards: true}, "|b"},
			{"nothing", hub.Query{Limit: 10, Start: begin + 10_000}, "|"},
			{"presence", hub.Query{Limit: 10, Kind: hub.Presence}, "|me's"},
		} {
			if got := pages(t, a, tt.q); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
			if got := pages(t, cold, tt.q); got != tt.want {
				t.Errorf("%s, on a cold node: got %s, want %s", tt.name, got, tt.want)
			}
		}
		time.Sleep(119 * time.Second)
		if got := pages(t, a, hub.Query{Limit: 10}); got != "|edcb" {
			t.Errorf("got %s after 2 minutes, want what is kept", got)
		}
	})
}

func TestHistoryIsKeptByNamespace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{Namespaces: map[string]hub.Namespace{"persisted": {Retention: 24 * time.Hour}}})
		c := connect(t, a)
		for _, name := range []string{"persisted:x", "persisted", "x"} {
			publish(t, c, name, "a")
		}
		time.Sleep(23 * time.Hour)
		for name, want := range map[string]int{"persisted:x": 1, "persisted": 0, "x": 0} {
			p, err := a.History(t.Context(), name, hub.Query{Limit: 10})
			if err != nil || len(p.Messages) != want {
				t.Errorf("%s: got %d messages and %v, want %d", name, len(p.Messages), err, want)
			}
		}
	})
}

// What is larger than a ring is read from the log.
func TestLongHistory(t *testing.T) {
	a := newApp(t, hub.AppOptions{Limits: hub.Limits{Rate: -1, ChannelRate: -1}})
	c := connect(t, a)
	attach(t, c, "chat", hub.Attaching{})
	const n = 5000
	for i := range n {
		publish(t, c, "chat", fmt.Sprint(i))
	}
	for _, forwards := range []bool{false, true} {
		q, seen := hub.Query{Limit: 999, Forwards: forwards}, 0
		for more := true; more; {
			p, err := a.History(t.Context(), "chat", q)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range p.Messages {
				want := seen
				if !forwards {
					want = n - 1 - seen
				}
				if got := m.Message().Data; got != fmt.Sprint(want) {
					t.Fatalf("forwards %t: got %s, want %d", forwards, got, want)
				}
				seen++
			}
			if more = p.Next != nil; more {
				q.Page = *p.Next
			}
		}
		if seen != n {
			t.Errorf("forwards %t: got %d messages, want %d", forwards, seen, n)
		}
	}
}

// A countingLog counts what is read from it.
type countingLog struct {
	hub.MemoryLog
	largest, entries int // The most that was asked for at once, and what was read in all.
}

func (l *countingLog) Read(ctx context.Context, n hub.Name, r hub.Range) ([]*hub.Entry, error) {
	list, err := l.MemoryLog.Read(ctx, n, r)
	l.largest, l.entries = max(l.largest, r.Limit), l.entries+len(list)
	return list, err
}

// However large the entries are, little of a log is held at once.
func TestLargeEntriesAreReadInParts(t *testing.T) {
	const n, size = 200, 60_000 // 12 MB, of which a ring holds a third.
	l := new(countingLog)
	var first hub.Position
	for i := range n {
		at := hubtest.Append(t, l, hubtest.Entry(hub.Name{App: "app", Channel: "chat"}, fmt.Sprint(i), fmt.Sprintf("%03d", i)+strings.Repeat("x", size)))
		if i == 0 {
			first = at
		}
	}
	check := func(what string, largest, entries int) {
		t.Helper()
		if l.largest > largest || l.entries > entries || l.entries == 0 {
			t.Errorf("%s: read %d entries, up to %d at once, want at most %d and %d", what, l.entries, l.largest, entries, largest)
		}
		l.largest, l.entries = 0, 0
	}
	a := newAppOver(t, l, hub.AppOptions{})
	if r := attach(t, connect(t, a), "chat", hub.Attaching{Rewind: 10}); len(r.now(t)) != 10 {
		t.Error("got no rewind of 10")
	}
	check("filling the ring", 64, 128)
	r := attach(t, connect(t, a), "chat", hub.Attaching{From: first})
	if got := r.now(t); len(got) != n-1 {
		t.Errorf("got %d entries of a resume, want %d", len(got), n-1)
	}
	check("resuming", 32, n)
	for _, forwards := range []bool{false, true} {
		q, seen := hub.Query{Limit: 1000, Forwards: forwards}, 0
		for more := true; more; {
			p, err := a.History(t.Context(), "chat", q)
			if err != nil {
				t.Fatal(err)
			}
			if len(p.Messages) > (4<<20)/size+1 {
				t.Errorf("got a page of %d messages", len(p.Messages))
			}
			for _, m := range p.Messages {
				want := seen
				if !forwards {
					want = n - 1 - seen
				}
				if got := m.Message().Data[:3]; got != fmt.Sprintf("%03d", want) {
					t.Fatalf("forwards %t: got %s, want %d", forwards, got, want)
				}
				seen++
			}
			if more = p.Next != nil; more {
				q.Page = *p.Next
			}
		}
		if seen != n {
			t.Errorf("forwards %t: got %d messages, want %d", forwards, seen, n)
		}
		check(fmt.Sprint("history, forwards ", forwards), 64, 2*n)
	}
}

// An oldLog has entries that are numbered from 1.
type oldLog struct{ hub.MemoryLog }

func (*oldLog) Follow(context.Context, hub.Name, func(*hub.Entry), func()) (hub.Position, func(), error) {
	return 128, func() {}, nil
}

func (*oldLog) Bounds(context.Context, hub.Name) (after, last hub.Position, err error) {
	return 0, 128, nil
}

func (*oldLog) Read(_ context.Context, n hub.Name, r hub.Range) (list []*hub.Entry, err error) {
	if r.To == 0 {
		r.To = 128
	}
	for p := r.To; p > r.After && len(list) < r.Limit; p-- {
		e := hubtest.Entry(n, p.String(), "a")
		e.Stamp(p, time.Now().UnixMilli())
		list = append(list, e)
	}
	return list, nil
}

// A log ends at its first position, though what is read at once ends there too.
func TestHistoryEndsAtTheFirstPosition(t *testing.T) {
	a := newAppOver(t, new(oldLog), hub.AppOptions{})
	p, err := a.History(t.Context(), "chat", hub.Query{Limit: 1000})
	if err != nil || len(p.Messages) != 128 || p.Next != nil {
		t.Errorf("got %d messages, next %v, %v, want 128 and no more", len(p.Messages), p.Next, err)
	}
}
