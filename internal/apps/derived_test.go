package apps_test

import (
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
)

// Who is taken back keeps nothing that it has got by what is taken back: no token
// that it asks for meanwhile, and none by a request that was signed before.
func TestRevokeWhatCameOfIt(t *testing.T) {
	mine := map[string]any{"x-ably-clientId": "me", "x-ably-capability": `{"room:*":["subscribe"]}`, "x-ably-revocation-key": "team", "jti": "t1"}
	by := func(w *world, t *testing.T) string {
		time.Sleep(5 * time.Second)
		d, err := w.RequestToken(t.Context(), group, &ably.TokenRequest{Capability: `{"room:1":["subscribe"]}`}, w.grant(t, of(group, mine)))
		if err != nil {
			t.Fatal(err)
		}
		return d.Token
	}
	tests := []struct {
		name, target string
		after        func(w *world, t *testing.T) string // What is asked for once it is taken back.
		before       func(w *world, t *testing.T) string
	}{
		{"by the client", "clientId:me", nil, by},
		{"by the group", "revocationKey:team", nil, by},
		{"by a channel that it gave up", "channel:room:*", nil, by},
		{"by one that it kept", "channel:room:1", nil, by},
		{"by a name of one who may have any", "clientId:*", nil, func(w *world, t *testing.T) string {
			anyone := w.grant(t, of(group, map[string]any{"x-ably-clientId": "*"}))
			d, err := w.RequestToken(t.Context(), group, &ably.TokenRequest{ClientID: "you"}, anyone)
			if err != nil {
				t.Fatal(err)
			}
			return d.Token
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				token := tt.before(w, t)
				time.Sleep(time.Second)
				if err := w.revoked(t, token); err != nil {
					t.Fatalf("got %v before it is taken back", err)
				}
				if got, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{tt.target}}, w.grant(t, group+":"+secret)); err != nil || got.Results[0].Error != nil {
					t.Fatalf("got %+v, %v", got, err)
				}
				if err := w.revoked(t, token); !coded(err, ably.TokenRevoked) {
					t.Errorf("got %v, want it taken back", err)
				}
			})
		})
	}
}

// The half minute in which a client is warned is for a token of who may give it
// one: those that it makes of its own go with it.
func TestRevokeWithMarginWhatCameOfIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		mine := of(group, map[string]any{"x-ably-clientId": "me"})
		hoarded := signed(func(r *ably.TokenRequest) { r.KeyName, r.ClientID = group, "me" })
		time.Sleep(time.Second)
		key := w.grant(t, group+":"+secret)
		if _, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{"clientId:me"}, Margin: true}, key); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		tokens := make(map[string]string)
		for name, ask := range map[string]struct {
			r  *ably.TokenRequest
			by *apps.Grant
		}{
			"of its own": {&ably.TokenRequest{}, w.grant(t, mine)}, "of a request from before": {hoarded, nil},
		} {
			d, err := w.RequestToken(t.Context(), group, ask.r, ask.by)
			if err != nil {
				t.Fatal(err)
			}
			tokens[name] = d.Token
		}
		fresh, err := w.RequestToken(t.Context(), group, signed(func(r *ably.TokenRequest) { r.KeyName, r.ClientID, r.Nonce = group, "me", r.Nonce+"x" }), nil)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		for name, token := range tokens {
			if err := w.revoked(t, token); !coded(err, ably.TokenRevoked) {
				t.Errorf("%s: got %v, want it taken back", name, err)
			}
		}
		if err := w.revoked(t, fresh.Token); err != nil {
			t.Errorf("got %v for a token whose request was signed since", err)
		}
	})
}

// A token of a request that was signed a while ago lives as long as any, and no
// longer than its key allows from then on.
func TestRequestTokenLives(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		for nonce, ttl := range map[string]time.Duration{"an hour": time.Hour, "a minute": time.Minute} {
			r := signed(func(r *ably.TokenRequest) { r.KeyName, r.TTL, r.Nonce = group, ttl.Milliseconds(), r.Nonce+nonce })
			time.Sleep(100 * time.Second)
			d, err := w.RequestToken(t.Context(), group, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			id, err := w.verify(t, "query", d.Token)
			want := min(ttl, time.Hour-100*time.Second)
			if err != nil || time.Until(id.Expires) != want || d.Expires != id.Expires.UnixMilli() || d.Expires-d.Issued != ttl.Milliseconds() {
				t.Errorf("%v: got %+v of %+v, %v, want %v more", ttl, id, d, err, want)
			}
		}
	})
}

// A key whose tokens could not be taken back may be changed: what they opened before
// is taken back then, too.
func TestRevokeFromBeforeItCould(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		id, err := w.verify(t, "query", of(full, map[string]any{"x-ably-capability": `{"room":["subscribe"]}`}))
		if err != nil {
			t.Fatal(err)
		}
		key := &apps.Key{ID: "full", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"*":["*"]}`), Revocable: true}
		if err := w.registry.Set(&apps.App{ID: "app", Keys: []*apps.Key{key}}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		if _, err := w.Revoke(t.Context(), full, &ably.RevokeRequest{Targets: []string{"channel:room"}}, w.grant(t, full+":"+secret)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.sessions.Renew(t.Context(), id); !coded(err, ably.TokenRevoked) {
			t.Errorf("got %v, want it taken back", err)
		}
	})
}

// A token that was made in the very second of a revocation is spared where it says
// that it was made after it, and not where it says the second alone.
func TestRevokeWithinTheSecond(t *testing.T) {
	for _, tt := range []struct {
		name    string
		iat     any
		revoked bool
	}{
		{"the second alone", 946684800, true},
		{"a moment before", json.Number("946684800.499"), true},
		{"at that moment", json.Number("946684800.500"), false},
		{"a moment after", json.Number("946684800.501"), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // Which begins at 946684800.
				w := newWorld(t)
				time.Sleep(500 * time.Millisecond)
				if _, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{"clientId:me"}}, w.grant(t, group+":"+secret)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(100 * time.Millisecond)
				token := of(group, map[string]any{"x-ably-clientId": "me", "iat": tt.iat, "exp": 946688400})
				if got := coded(w.revoked(t, token), ably.TokenRevoked); got != tt.revoked {
					t.Errorf("got revoked: %t, want %t", got, tt.revoked)
				}
			})
		})
	}
}
