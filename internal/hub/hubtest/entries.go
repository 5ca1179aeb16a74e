package hubtest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/hub"
)

func testFields(t *testing.T, logs []hub.Log) {
	sent := &hub.Entry{
		Name: &hub.Name{App: "app", Channel: "päper:[x]/y z*>.", Kept: true}, Kind: hub.Presence, ConnectionID: "conn",
		Messages: []hub.Message{
			{
				ID: "id:0", Name: "näme", Data: "\x00\xff\x01", Form: hub.Binary, Encoding: "json/base64",
				Extras: `{"a":1}`, ClientID: "me", ConnectionID: "conn", Action: hub.Update,
			},
			{ID: "id:1", Form: hub.Text},
			{ID: "id:2"},
		},
	}
	want := *clone(sent)
	tail := Follow(t, logs[0], *sent.Name)
	before := time.Now().Add(-time.Minute)
	at := Append(t, logs[0], sent)
	told := tail.Await(t, 1)[0]
	list, err := logs[len(logs)-1].Read(t.Context(), *sent.Name, hub.Range{Limit: 1})
	if err != nil || len(list) != 1 {
		t.Fatalf("read: got %d entries and %v, want one", len(list), err)
	}
	if told.Time != list[0].Time {
		t.Errorf("got time %d when told, and %d when read", told.Time, list[0].Time)
	}
	for what, e := range map[string]*hub.Entry{"told": told, "read": list[0]} {
		if e.Time < before.UnixMilli() || e.Time > time.Now().Add(time.Minute).UnixMilli() {
			t.Errorf("%s: got time %d, want that of now", what, e.Time)
		}
		if e.Position != at {
			t.Errorf("%s: got position %v, want %v", what, e.Position, at)
		}
		got := *clone(e)
		for i := range got.Messages {
			if got.Messages[i].Time != e.Time {
				t.Errorf("%s: got time %d of message %d, want the entry's", what, got.Messages[i].Time, i)
			}
			got.Messages[i].Time = 0
		}
		if d := cmp.Diff(want.Messages, got.Messages); d != "" {
			t.Errorf("%s: got other messages (-want +got):\n%s", what, d)
		}
		if *got.Name != *want.Name || got.Kind != want.Kind || got.ConnectionID != want.ConnectionID {
			t.Errorf("%s: got %v, %v, %q", what, got.Name, got.Kind, got.ConnectionID)
		}
	}
}

// clone copies what a test compares.
func clone(e *hub.Entry) *hub.Entry {
	c := &hub.Entry{Name: e.Name, Kind: e.Kind, ConnectionID: e.ConnectionID}
	c.Messages = append(c.Messages, e.Messages...)
	return c
}

func testApart(t *testing.T, logs []hub.Log) {
	names := []hub.Name{
		{App: "a", Channel: "x"},
		{App: "b", Channel: "x"},
		{App: "a", Channel: "X"},
		{App: "a", Channel: "x:y"},
		{App: "a", Channel: "x", Kept: true},
		{App: "a:x", Channel: "y"},
	}
	for i, n := range names {
		Append(t, logs[0], Entry(n, "same", fmt.Sprint(i)))
	}
	for i, n := range names {
		got := read(t, logs[0], n, hub.Range{Limit: 10})
		if len(got) != 1 || got[0] != fmt.Sprint(i) {
			t.Errorf("channel %v: got %v, want its own message", n, got)
		}
	}
}

func testBounds(t *testing.T, logs []hub.Log) {
	for i, l := range logs {
		after, last, err := l.Bounds(t.Context(), Chat)
		if err != nil || after > last {
			t.Fatalf("node %d: got bounds %v, %v and %v", i, after, last, err)
		}
		at := Append(t, l, Entry(Chat, fmt.Sprint(i), "x"))
		if at <= last {
			t.Errorf("node %d: got position %v, want it after the last one, %v", i, at, last)
		}
		after, last, err = l.Bounds(t.Context(), Chat)
		if err != nil || at <= after || at > last {
			t.Errorf("node %d: got bounds %v, %v and %v, want %v between", i, after, last, err, at)
		}
	}
}

func testStop(t *testing.T, logs []hub.Log) {
	tail := Follow(t, logs[0], Chat)
	Append(t, logs[0], Entry(Chat, "1", "1"))
	tail.Await(t, 1)
	tail.Stop()
	Append(t, logs[0], Entry(Chat, "2", "2"))
	witness := Follow(t, logs[0], Chat)
	Append(t, logs[0], Entry(Chat, "3", "3"))
	witness.Await(t, 1)
	if got := tail.Await(t, 1); len(got) != 1 {
		t.Errorf("got %d entries after stop, want none", len(got)-1)
	}
}

func testSeveral(t *testing.T, logs []hub.Log) {
	one, two := Follow(t, logs[0], Chat), Follow(t, logs[0], Chat)
	Append(t, logs[0], Entry(Chat, "1", "1"))
	one.Await(t, 1)
	two.Await(t, 1)
	one.Stop()
	for i := 2; i < 50; i++ {
		Append(t, logs[0], Entry(Chat, fmt.Sprint(i), fmt.Sprint(i)))
	}
	for i, text := range Texts(two.Await(t, 49)) {
		if text != fmt.Sprint(i+1) {
			t.Fatalf("got %s at %d, want each once and in order", text, i)
		}
	}
}
