package observe_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/observe"
)

func refused(id string, cause error) usher.Event {
	return usher.Event{
		Kind: usher.EventRefused, Time: time.Now(), Route: "/chat", Client: netip.MustParsePrefix("192.0.2.1/32"),
		Refusal: &usher.Refusal{Status: 401, Code: 4401, Word: "unauthenticated", ID: id, Cause: cause},
	}
}

// The newest are remembered, the oldest forgotten, and nobody else.
func TestExplanations(t *testing.T) {
	var x observe.Explanations
	for i := range observe.Remembered + 3 {
		x.Observe(refused(fmt.Sprint("id", i), nil))
	}
	for id, want := range map[string]bool{"id0": false, "id2": false, "id3": true, fmt.Sprint("id", observe.Remembered+2): true, "": false} {
		if got, ok := x.Find(id); ok != want || ok && got.ID != id {
			t.Errorf("%q: got %+v, %t, want %t", id, got, ok, want)
		}
	}
	newest := x.Newest(3)
	if len(newest) != 3 || newest[0].ID != fmt.Sprint("id", observe.Remembered+2) || newest[2].ID != fmt.Sprint("id", observe.Remembered) {
		t.Errorf("got %+v, want the three newest", newest)
	}
}

func TestNewestOfFew(t *testing.T) {
	var x observe.Explanations
	if got := x.Newest(5); len(got) != 0 {
		t.Errorf("got %+v of none", got)
	}
	x.Observe(refused("one", nil))
	x.Observe(refused("two", nil))
	if got := x.Newest(5); len(got) != 2 || got[0].ID != "two" || got[1].ID != "one" {
		t.Errorf("got %+v, want two and one", got)
	}
	x.Observe(usher.Event{Kind: usher.EventAdmitted})
	if got := x.Newest(5); len(got) != 2 {
		t.Errorf("got %+v, want nothing of who was admitted", got)
	}
}

// What is shown on a terminal cannot move its cursor, and is short.
func TestExplanationIsPrintable(t *testing.T) {
	var x observe.Explanations
	e := refused("one", fmt.Errorf("kid \x1b[2J\r\n%s %s", jwt, strings.Repeat("é ", 1000)))
	e.Identity = &usher.Identity{Subject: "al\x1bice"}
	x.Observe(e)
	got, _ := x.Find("one")
	if strings.ContainsAny(got.Reason+got.Subject, "\x1b\r\n") || len(got.Reason) > 600 || strings.Contains(got.Reason, "c2lnbmF0dXJl") {
		t.Errorf("got %q %q", got.Reason, got.Subject)
	}
}
