package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
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
