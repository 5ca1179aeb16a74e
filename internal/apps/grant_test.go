package apps_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
)

func TestAs(t *testing.T) {
	tests := []struct {
		token, query string
		said         bool
		want         string
		code         ably.Code
	}{
		{"*", "", false, "*", 0},
		{"*", "x", true, "x", 0},
		{"*", "*", true, "*", 0},
		{"*", "", true, "", ably.BadClientID},
		{"", "", false, "", 0},
		{"", "x", true, "", ably.IncompatibleCredential},
		{"", "", true, "", ably.BadClientID},
		{"c", "", false, "c", 0},
		{"c", "c", true, "c", 0},
		{"c", "x", true, "", ably.IncompatibleCredential},
		{"c", "*", true, "", ably.IncompatibleCredential},
	}
	for _, tt := range tests {
		g, bad := (&apps.Grant{ClientID: tt.token}).As(tt.query, tt.said)
		switch {
		case tt.code != 0:
			if bad == nil || bad.Code != tt.code {
				t.Errorf("%q as %q: got %v, want %d", tt.token, tt.query, bad, tt.code)
			}
		case bad != nil || g.ClientID != tt.want:
			t.Errorf("%q as %q: got %+v, %v, want %q", tt.token, tt.query, g, bad, tt.want)
		}
	}
}

func TestSender(t *testing.T) {
	tests := []struct {
		grant, claimed, want string
		bad                  bool
	}{
		{"*", "", "", false},
		{"*", "x", "x", false},
		{"*", "*", "", true},
		{"", "", "", false},
		{"", "x", "", true},
		{"c", "", "c", false},
		{"c", "c", "c", false},
		{"c", "x", "", true},
	}
	for _, tt := range tests {
		got, bad := (&apps.Grant{ClientID: tt.grant}).Sender(tt.claimed)
		if got != tt.want || (bad != nil) != tt.bad || bad != nil && bad.Code != ably.BadClientID {
			t.Errorf("%q from %q: got %q, %v", tt.grant, tt.claimed, got, bad)
		}
	}
}

// A credential of another verifier opens the one app that there is, as far as
// its capability goes.
func TestGrantOfOthers(t *testing.T) {
	w := newWorld(t)
	id := &usher.Identity{Subject: "alice", Issuer: "x", Claims: usher.Claims{"capability": `{"a":["publish"]}`, "grant": map[string]any{"App": "other"}}}
	g, err := w.registry.Grant(id)
	if err != nil || g.App != "app" || g.ClientID != "alice" || g.Key != "" || g.May("publish", "a") != nil || g.May("publish", "b") == nil {
		t.Errorf("got %+v, %v", g, err)
	}
	if bad := g.May("subscribe", "a"); bad == nil || bad.Code != ably.NotPermitted || bad.Status != 401 {
		t.Errorf("got %v, want %d", bad, ably.NotPermitted)
	}
	none, err := w.registry.Grant(&usher.Identity{Subject: "bob"})
	if err != nil || !none.Permissions.IsZero() || none.MayAnywhere("stats") == nil {
		t.Errorf("got %+v, %v, want a grant of nothing", none, err)
	}
	if _, err := w.registry.Grant(&usher.Identity{Subject: "bob", Claims: usher.Claims{"capability": "x"}}); !coded(err, ably.TokenError) {
		t.Errorf("got %v, want %d", err, ably.TokenError)
	}
	if g, err := w.registry.Grant(&usher.Identity{Subject: "*", Issuer: "x"}); !coded(err, ably.BadClientID) {
		t.Errorf("got %+v, %v for one who is called *, want %d", g, err, ably.BadClientID)
	}
	if err := w.registry.Set(&apps.App{ID: "second"}); err != nil {
		t.Fatal(err)
	}
	if _, err := w.registry.Grant(id); !coded(err, ably.BadCredential) {
		t.Errorf("got %v where there are two apps, want %d", err, ably.BadCredential)
	}
}

func TestExplain(t *testing.T) {
	refused := func(word string) error { return &usher.Refusal{Word: word} }
	tests := []struct {
		err  error
		code ably.Code
	}{
		{fmt.Errorf("x: %w", ably.Err(ably.BadJWT)), ably.BadJWT},
		{usher.ErrExpired, ably.TokenExpired},
		{usher.ErrRevoked, ably.TokenRevoked},
		{usher.ErrUnavailable, ably.Unavailable},
		{usher.ErrForbidden, ably.Forbidden},
		{usher.ErrNoCredential, ably.BadCredential},
		{errors.New("x"), ably.BadCredential},
		{&usher.Refusal{Cause: usher.ErrRevoked}, ably.TokenRevoked},
		{refused("too_many"), ably.TooManyRequests},
		{refused("draining"), ably.Disconnected},
		{refused("fault"), ably.Internal},
		{refused("unauthenticated"), ably.BadCredential},
	}
	for _, tt := range tests {
		if got := apps.Explain(tt.err); got.Code != tt.code {
			t.Errorf("%v: got %v, want %d", tt.err, got, tt.code)
		}
	}
}

func TestRegistry(t *testing.T) {
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	defer h.Close()
	r := apps.NewRegistry(h)
	key := func(id, secret string) *apps.Key { return &apps.Key{ID: id, Secret: usher.NewSecret(secret)} }
	for name, a := range map[string]*apps.App{
		"no id": {}, "a dot": {ID: "a.b"}, "a colon": {ID: "a:b"}, "a key without id": {ID: "a", Keys: []*apps.Key{key("", secret)}},
		"two keys": {ID: "a", Keys: []*apps.Key{key("k", secret), key("k", secret)}}, "a short secret": {ID: "a", Keys: []*apps.Key{key("k", "short")}},
	} {
		if err := r.Set(a); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
	if r.Only() != "" || r.App("a") != nil || r.Remove("a") {
		t.Error("got an app of a registry without")
	}
	if err := r.Set(&apps.App{ID: "a", Keys: []*apps.Key{key("k", secret)}}); err != nil {
		t.Fatal(err)
	}
	if r.Only() != "a" || r.App("a") == nil || r.App("a").ID() != "a" || !r.Remove("a") || r.App("a") != nil {
		t.Error("got no app that was set, or one that was removed")
	}
}

// Who is allowed what is looked at again where a key was changed or left out, and
// not for keys that are added, or given once more.
func TestRegistryTellsOfChanges(t *testing.T) {
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	defer h.Close()
	r := apps.NewRegistry(h)
	told := 0
	r.OnChange(func() { told++ })
	key := func(id, capability string, revocable bool) *apps.Key {
		p, err := usher.NewPermissions("", capability)
		if err != nil {
			t.Fatal(err)
		}
		return &apps.Key{ID: id, Secret: usher.NewSecret(secret), Permissions: p, Revocable: revocable}
	}
	for _, step := range []struct {
		name string
		keys []*apps.Key
		want int
	}{
		{"the first", []*apps.Key{key("a", `{"*":["*"]}`, false)}, 0},
		{"the same", []*apps.Key{key("a", `{"*":["*"]}`, false)}, 0},
		{"another one", []*apps.Key{key("b", `{"*":["*"]}`, false), key("a", `{"*":["*"]}`, false)}, 0},
		{"less", []*apps.Key{key("b", `{"*":["*"]}`, false), key("a", `{"x":["publish"]}`, false)}, 1},
		{"revocable", []*apps.Key{key("b", `{"*":["*"]}`, true), key("a", `{"x":["publish"]}`, false)}, 1},
		{"one left out", []*apps.Key{key("b", `{"*":["*"]}`, true)}, 1},
	} {
		told = 0
		if err := r.Set(&apps.App{ID: "app", Keys: step.keys}); err != nil {
			t.Fatal(err)
		}
		if told != step.want {
			t.Errorf("%s: told %d times, want %d", step.name, told, step.want)
		}
	}
	told = 0
	if r.Remove("none") || !r.Remove("app") || told != 1 {
		t.Errorf("told %d times that an app is removed, want once", told)
	}
}
