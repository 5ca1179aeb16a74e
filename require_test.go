package usher_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// requiring is a Guard for route that requires the scope chat, and a tenant.
func requiring(s *usher.Sessions, route string) *usher.Guard {
	g := byMint(s, route)
	g.Require = usher.Requirement{Scope: []string{"chat", "news"}, Claims: map[string][]string{"tenant": {"acme", "globex"}}}
	return g
}

// entitled is who has a token that is enough for requiring.
func entitled(subject, session string) usher.Identity {
	id := loggedIn(subject, session)
	id.Claims = usher.Claims{"scope": "news chat", "tenant": "acme"}
	return id
}

func TestRequire(t *testing.T) {
	tests := []struct {
		name   string
		claims usher.Claims
		want   bool
	}{
		{"what is required", usher.Claims{"scope": "chat news", "tenant": "acme"}, true},
		{"and more", usher.Claims{"scope": "admin chat news", "tenant": "globex", "x": 1}, true},
		{"arrays", usher.Claims{"scp": []any{"chat", "news"}, "tenant": []any{"other", "acme"}}, true},
		{"no claims", nil, false},
		{"no scope", usher.Claims{"tenant": "acme"}, false},
		{"half the scope", usher.Claims{"scope": "chat", "tenant": "acme"}, false},
		{"a scope that begins alike", usher.Claims{"scope": "chat newsroom", "tenant": "acme"}, false},
		{"a malformed scope", usher.Claims{"scope": "chat  news", "tenant": "acme"}, false},
		{"a scope of numbers", usher.Claims{"scope": 7, "tenant": "acme"}, false},
		{"no tenant", usher.Claims{"scope": "chat news"}, false},
		{"another tenant", usher.Claims{"scope": "chat news", "tenant": "initech"}, false},
		{"a tenant that is an object", usher.Claims{"scope": "chat news", "tenant": map[string]any{"acme": "acme"}}, false},
		{"an array in an array", usher.Claims{"scope": "chat news", "tenant": []any{[]any{"acme"}}}, false},
		{"empty tenant", usher.Claims{"scope": "chat news", "tenant": ""}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				id := loggedIn("alice", "s1")
				id.Claims = tt.claims
				if !tt.want {
					turnedAway(t, requiring(&s, "/chat"), id, usher.CloseForbidden, "forbidden")
					if got := tried(requiring(&s, "/chat"), id); got != http.StatusForbidden {
						t.Errorf("a plain request: got %d, want 403", got)
					}
					return
				}
				p := join(t, requiring(&s, "/chat"), &witness{}, id)
				if got := tried(requiring(&s, "/chat"), id); got != http.StatusOK {
					t.Errorf("a plain request: got %d, want 200", got)
				}
				leaveAll(p)
			})
		})
	}
}

// What a claim may be compared with.
func TestRequireValues(t *testing.T) {
	g := byMint(nil, "/chat")
	g.Require.Claims = map[string][]string{"verified": {"true"}, "level": {"3"}}
	for want, claims := range map[int]usher.Claims{
		http.StatusOK:        {"verified": true, "level": json.Number("3")},
		http.StatusForbidden: {"verified": false, "level": json.Number("3")},
	} {
		id := loggedIn("alice", "s1")
		id.Claims = claims
		g.Carriers = []usher.Carrier{usher.Bearer(only(func(context.Context) (*usher.Identity, error) { return &id, nil }))}
		if got := tried(&usher.Guard{Carriers: g.Carriers, Require: g.Require, Log: quiet()}, id); got != want {
			t.Errorf("%v: got %d, want %d", claims, got, want)
		}
	}
}

// The answer to those who can read a status says what would be enough (RFC 6750
// §3.1).
func TestRequireChallenge(t *testing.T) {
	tests := []struct {
		name    string
		require usher.Requirement
		want    string
	}{
		{"scope", usher.Requirement{Scope: []string{"chat", "news"}}, `Bearer error="insufficient_scope", scope="chat news"`},
		{"claim", usher.Requirement{Claims: map[string][]string{"tenant": {"acme"}}}, `Bearer error="insufficient_scope"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := byMint(nil, "/chat")
			g.Require = tt.require
			r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
			r.Header.Set("Authorization", "Bearer "+minted(loggedIn("alice", "s1")))
			w := httptest.NewRecorder()
			g.Handler(&witness{}).ServeHTTP(w, r)
			if got := w.Header().Get("WWW-Authenticate"); w.Code != http.StatusForbidden || got != tt.want {
				t.Errorf("got %d with %q, want 403 with %q", w.Code, got, tt.want)
			}
		})
	}
}

// A renewal with less than the route requires ends the connection there, and no
// other: what shrinks takes effect at once.
func TestRequireAtRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		id := entitled("alice", "s1")
		chat := join(t, requiring(&s, "/chat"), &witness{}, id)
		open := join(t, byMint(&s, "/open"), &witness{}, id)
		if n, err := s.Renew(t.Context(), renewedIn(id, time.Hour)); n != 2 || err != nil {
			t.Fatalf("with the same: got %d, %v, want 2", n, err)
		}
		time.Sleep(time.Second)
		id.Claims = usher.Claims{"scope": "chat", "tenant": "acme"}
		if n, err := s.Renew(t.Context(), renewedIn(id, time.Hour)); n != 1 || err != nil {
			t.Fatalf("with less: got %d, %v, want 1", n, err)
		}
		chat.closed(usher.CloseForbidden, "forbidden")
		if ids := live(t, &s); len(ids) != 1 {
			t.Errorf("got %d connections, want the one that requires nothing", len(ids))
		}
		leaveAll(open)
	})
}

// Another node's renewals are asked about here.
func TestRequireOnOtherNodes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var here, there usher.Sessions
		h := newHub()
		joinBus(t, &here, h.node())
		joinBus(t, &there, h.node())
		id := entitled("alice", "s1")
		p := join(t, requiring(&there, "/chat"), &witness{}, id)
		time.Sleep(time.Second)
		id.Claims = nil
		if n, err := here.Renew(t.Context(), renewedIn(id, time.Hour)); n != 0 || err != nil {
			t.Fatalf("got %d, %v, want none that is renewed", n, err)
		}
		p.closed(usher.CloseForbidden, "forbidden")
	})
}

// A verifier that is asked again may say less as well.
func TestRequireAtRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := requiring(&s, "/chat")
		answers := []usher.Claims{entitled("alice", "").Claims, entitled("alice", "").Claims, nil}
		g.Carriers = []usher.Carrier{usher.Bearer(usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			claims := answers[0]
			answers = answers[1:]
			return &usher.Identity{Subject: "alice", Recheck: true, Expires: time.Now().Add(time.Minute), Claims: claims}, nil
		}))}
		p := join(t, g, &witness{}, loggedIn("alice", ""))
		begun := time.Now()
		p.closed(usher.CloseForbidden, "forbidden")
		if got := time.Since(begun); got < time.Minute || got > 2*time.Minute {
			t.Errorf("got the end after %v, want it at the second question", got)
		}
	})
}

// The desk says 403 where nothing is left to be renewed, and renews what may be.
func TestRequireAtDesk(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		id := entitled("alice", "s1")
		desk := s.Desk(map[string]*usher.Guard{"/chat": requiring(&s, "/chat"), "/open": byMint(&s, "/open")})
		alone := s.Desk(map[string]*usher.Guard{"/chat": requiring(&s, "/chat")})
		renew := func(h http.Handler, claims usher.Claims) *httptest.ResponseRecorder {
			time.Sleep(time.Second)
			id.Claims = claims
			r := httptest.NewRequest(http.MethodPost, renewPath, nil)
			r.Header.Set("Authorization", "Bearer "+minted(*renewedIn(id, time.Hour)))
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w
		}
		chat := join(t, requiring(&s, "/chat"), &witness{}, id)
		open := join(t, byMint(&s, "/open"), &witness{}, id)
		if w := renew(desk, id.Claims); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"connections":2`) {
			t.Errorf("with the same: got %d %s, want 200 for 2", w.Code, w.Body)
		}
		if w := renew(desk, nil); w.Code != http.StatusOK || !strings.Contains(w.Body.String(), `"connections":1`) {
			t.Errorf("with less: got %d %s, want 200 for 1", w.Code, w.Body)
		}
		chat.closed(usher.CloseForbidden, "forbidden")
		chat = join(t, requiring(&s, "/chat"), &witness{}, entitled("alice", "s1"))
		w := renew(alone, nil)
		if w.Code != http.StatusForbidden || !strings.Contains(w.Header().Get("WWW-Authenticate"), "insufficient_scope") {
			t.Errorf("with less, and nothing else: got %d %s, want 403 and a challenge", w.Code, w.Body)
		}
		chat.closed(usher.CloseForbidden, "forbidden")
		leaveAll(open)
	})
}

func TestRequireBad(t *testing.T) {
	for _, q := range []usher.Requirement{
		{Scope: []string{""}},
		{Scope: []string{"chat news"}},
		{Scope: []string{`ch"at`}},
		{Claims: map[string][]string{"": {"acme"}}},
		{Claims: map[string][]string{"tenant": nil}},
	} {
		g := byMint(nil, "/chat")
		g.Require = q
		if err := g.Validate(); err == nil || !strings.Contains(err.Error(), "Require: ") {
			t.Errorf("%+v: got %v, want an error about Require", q, err)
		}
		if got := tried(g, entitled("alice", "s1")); got != http.StatusInternalServerError {
			t.Errorf("%+v: got %d, want 500: nobody gets in", q, got)
		}
	}
}
