package apps_test

import (
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// Of claims that are about a channel the narrowest counts.
func TestClaims(t *testing.T) {
	w := newWorld(t)
	all := map[string]any{}
	for _, resource := range []string{"*", "[*]*", "a:*", "a:*:c", "a:b:*", "a:b:c", "room", "*:z", "lit*"} {
		all["ably.channel."+resource] = resource
		all["ably.limits.publish.perAttachment.maxRate."+resource] = len(resource)
	}
	g := w.grant(t, of(full, all))
	for channel, want := range map[string]string{
		"other": "*", "room": "room", "room:x": "*", "a": "*", "a:x": "a:*", "a:x:c": "a:*:c", "a:b:x": "a:b:*", "a:b:c": "a:b:c",
		"a:b:c:d": "a:b:*", "x:z": "*:z", "lit*": "lit*", "literal": "*",
	} {
		text, said := g.Claims.User(channel)
		rate, limited := g.Claims.MaxRate(channel)
		if !said || text != want || !limited || rate != float64(len(want)) {
			t.Errorf("%s: got %q, %t and %v, %t, want those of %q", channel, text, said, rate, limited, want)
		}
	}
	one := w.grant(t, of(full, map[string]any{"ably.channel.a": "x", "ably.limits.publish.perAttachment.maxRate.b": 0.1}))
	if _, said := one.Claims.User("b"); said {
		t.Error("got a claim of a channel that none is about")
	}
	if rate, limited := one.Claims.MaxRate("b"); !limited || rate != 0.1 {
		t.Errorf("got %v, %t, want 0.1", rate, limited)
	}
	if _, limited := one.Claims.MaxRate("a"); limited {
		t.Error("got a limit of a channel that none is about")
	}
	none := w.grant(t, of(full, map[string]any{"ably.limits.other": "x", "ably": 1}))
	if _, said := none.Claims.User("a"); said {
		t.Error("got a claim of a token that has none")
	}
}

// A limit that is not understood is not passed over.
func TestClaimsRefused(t *testing.T) {
	w := newWorld(t)
	const user, rate = "ably.channel.", "ably.limits.publish.perAttachment.maxRate."
	for name, value := range map[string]any{
		user + "a": 1, user: "x", user + "[a": "x", user + "b": nil, user + "c": map[string]any{},
		rate + "a": "10", rate: 1, rate + "b": -1, rate + "c": []int{1}, rate + "]": true, rate + "[x": 1, rate + "d": map[string]any{},
	} {
		claims := map[string]any{name: value}
		if value == nil {
			claims = map[string]any{name: false}
		}
		if _, err := w.verify(t, "query", of(full, claims)); !coded(err, ably.BadRequest) {
			t.Errorf("%s: got %v, want %d", name, err, ably.BadRequest)
		}
	}
}

// A token that is asked for with a token says the same of its holder: a limit is
// not washed off by that.
func TestClaimsAreKept(t *testing.T) {
	w := newWorld(t)
	by := w.grant(t, of(full, map[string]any{
		"x-ably-clientId": "me", "ably.channel.a:*": "guest", "ably.limits.publish.perAttachment.maxRate.*": 0.5,
	}))
	d, err := w.RequestToken(t.Context(), full, &ably.TokenRequest{}, by)
	if err != nil {
		t.Fatal(err)
	}
	g := w.grant(t, d.Token)
	if text, _ := g.Claims.User("a:b"); text != "guest" {
		t.Errorf("got the claim %q, want that of the first token", text)
	}
	if rate, limited := g.Claims.MaxRate("x"); !limited || rate != 0.5 {
		t.Errorf("got %v, %t, want the limit of the first token", rate, limited)
	}
	if g.Holder != by.Holder || g.Holder == w.grant(t, of(full, map[string]any{"x-ably-clientId": "you"})).Holder {
		t.Errorf("got the holder %q, want that of the first token, %q", g.Holder, by.Holder)
	}
}

// Tokens of other verifiers say it too.
func TestClaimsOfOthers(t *testing.T) {
	w := newWorld(t)
	id := &usher.Identity{Subject: "alice", Issuer: "login", Claims: usher.Claims{"capability": `{"*":["*"]}`, "ably.channel.a": "staff"}}
	g, err := w.registry.Grant(id)
	if err != nil {
		t.Fatal(err)
	}
	if text, said := g.Claims.User("a"); !said || text != "staff" {
		t.Errorf("got %q, %t", text, said)
	}
	id.Claims["ably.limits.publish.perAttachment.maxRate.a"] = "many"
	if _, err := w.registry.Grant(id); !coded(err, ably.BadRequest) {
		t.Errorf("got %v for a limit that is none, want %d", err, ably.BadRequest)
	}
}
