package apps_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
)

// signed is a request of the key full, changed and then signed.
func signed(change func(*ably.TokenRequest)) *ably.TokenRequest {
	r := &ably.TokenRequest{KeyName: full, Timestamp: time.Now().UnixMilli(), Nonce: "0123456789abcdef"}
	if change != nil {
		change(r)
	}
	r.Sign(secret)
	return r
}

func TestRequestToken(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name                 string
		key                  string
		change               func(*ably.TokenRequest)
		ttl                  time.Duration
		clientID, capability string
	}{
		{"nothing asked for", full, nil, time.Hour, "", `{"*":["*"]}`},
		{"a client for a millisecond", full, func(r *ably.TokenRequest) { r.ClientID, r.TTL = "me", 1 }, time.Millisecond, "me", `{"*":["*"]}`},
		{"anyone", full, func(r *ably.TokenRequest) { r.ClientID = "*" }, time.Hour, "*", `{"*":["*"]}`},
		{"a day", full, func(r *ably.TokenRequest) { r.TTL = 86400000 }, 24 * time.Hour, "", `{"*":["*"]}`},
		{"less", narrow, func(r *ably.TokenRequest) {
			r.KeyName, r.Capability = narrow, ` { "a" : ["*"], "c":["publish"] }`
		}, time.Hour, "", `{"a":["publish","subscribe"]}`},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := signed(func(r *ably.TokenRequest) {
				if r.Nonce += string(rune('a' + i)); tt.change != nil {
					tt.change(r)
				}
			})
			d, err := w.RequestToken(t.Context(), tt.key, r, nil)
			if err != nil {
				t.Fatal(err)
			}
			if d.KeyName != tt.key || d.ClientID != tt.clientID || d.Capability != tt.capability || d.Expires-d.Issued != tt.ttl.Milliseconds() {
				t.Errorf("got %+v", d)
			}
			if tt.ttl == time.Millisecond {
				return
			}
			if g := w.grant(t, d.Token); g.ClientID != tt.clientID || g.Permissions.Capability() != tt.capability {
				t.Errorf("got a token of %+v", g)
			}
		})
	}
}

func TestRequestTokenRefused(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name   string
		change func(*ably.TokenRequest)
		code   ably.Code
	}{
		{"of another key than the path's", func(r *ably.TokenRequest) { r.KeyName = narrow }, ably.BadRequest},
		{"old", func(r *ably.TokenRequest) { r.Timestamp -= 130_000 }, ably.BadTokenTimestamp},
		{"of the future", func(r *ably.TokenRequest) { r.Timestamp += 130_000 }, ably.BadTokenTimestamp},
		{"without a time", func(r *ably.TokenRequest) { r.Timestamp = 0 }, ably.BadTokenTimestamp},
		{"of before the server", func(r *ably.TokenRequest) { r.Timestamp -= 60_000 }, ably.BadTokenTimestamp},
		{"a short nonce", func(r *ably.TokenRequest) { r.Nonce = "123456789012345" }, ably.BadRequest},
		{"a nonce of two lines", func(r *ably.TokenRequest) { r.Nonce = "0123456789abcdef\n0123456789abcdef" }, ably.BadRequest},
		{"a client id of two lines", func(r *ably.TokenRequest) { r.ClientID = "me\nyou" }, ably.BadRequest},
		{"a negative ttl", func(r *ably.TokenRequest) { r.TTL = -1 }, ably.BadParameter},
		{"a long ttl", func(r *ably.TokenRequest) { r.TTL = 86400001 }, ably.BadParameter},
		{"a ttl beyond all times", func(r *ably.TokenRequest) { r.TTL = 1 << 62 }, ably.BadParameter},
		{"a capability that is none", func(r *ably.TokenRequest) { r.Capability = `{"a":["*","publish"]}` }, ably.BadRequest},
		{"a capability of nothing", func(r *ably.TokenRequest) { r.Capability = `{"a":[]}` }, ably.BadRequest},
	}
	for i, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := signed(func(r *ably.TokenRequest) { r.Nonce += string(rune('a' + i)); tt.change(r) })
			if d, err := w.RequestToken(t.Context(), full, r, nil); !coded(err, tt.code) {
				t.Errorf("got %+v, %v, want %d", d, err, tt.code)
			}
		})
	}
	for name, r := range map[string]*ably.TokenRequest{
		"no mac": {KeyName: full, Timestamp: time.Now().UnixMilli(), Nonce: "0123456789abcdefg"}, "a wrong mac": {KeyName: full, Timestamp: time.Now().UnixMilli(), Nonce: "0123456789abcdefg", MAC: "AAAA"},
	} {
		if _, err := w.RequestToken(t.Context(), full, r, nil); !coded(err, ably.BadCredential) {
			t.Errorf("%s: got %v, want %d", name, err, ably.BadCredential)
		}
	}
	if _, err := w.RequestToken(t.Context(), "app.none", signed(func(r *ably.TokenRequest) { r.KeyName = "" }), nil); !coded(err, ably.BadCredential) {
		t.Errorf("got %v for an unknown key", err)
	}
	r := signed(func(r *ably.TokenRequest) { r.KeyName, r.Capability = narrow, `{"z":["publish"]}` })
	if _, err := w.RequestToken(t.Context(), narrow, r, nil); !coded(err, ably.NotPermitted) || apps.Explain(err).Status != 401 {
		t.Errorf("got %v where nothing is left, want %d", err, ably.NotPermitted)
	}
}

// What is signed are lines. A signature for a client id of several lines is none
// for the client id that these say where the fields are cut elsewhere.
func TestRequestTokenCutElsewhere(t *testing.T) {
	w := newWorld(t)
	nonce := "0123456789abcdef"
	r := signed(func(r *ably.TokenRequest) { r.ClientID = "you\n" + strconv.FormatInt(r.Timestamp, 10) + "\n" + nonce })
	cut := *r
	cut.ClientID, cut.Nonce = "you", nonce+"\n"+strconv.FormatInt(r.Timestamp, 10)+"\n"+nonce
	if !cut.SignedBy(secret) {
		t.Fatal("the two texts that are signed differ")
	}
	for name, r := range map[string]*ably.TokenRequest{"as it was signed": r, "cut elsewhere": &cut} {
		if d, err := w.RequestToken(t.Context(), full, r, nil); !coded(err, ably.BadRequest) {
			t.Errorf("%s: got %+v, %v, want %d", name, d, err, ably.BadRequest)
		}
	}
	// Where it can only be one field a line break is fine.
	pretty := signed(func(r *ably.TokenRequest) { r.Capability = "{\n\"a\": [\"publish\"]\n}" })
	if _, err := w.RequestToken(t.Context(), full, pretty, nil); err != nil {
		t.Errorf("got %v for a capability of several lines", err)
	}
}

// A request is answered once, as long as its time counts.
func TestRequestTokenOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		time.Sleep(time.Minute)
		r := signed(nil)
		if _, err := w.RequestToken(t.Context(), full, r, nil); err != nil {
			t.Fatal(err)
		}
		for range 8 {
			time.Sleep(30 * time.Second)
			_, err := w.RequestToken(t.Context(), full, r, nil)
			if !coded(err, ably.NonceReplayed) && !coded(err, ably.BadTokenTimestamp) {
				t.Errorf("got %v, want it refused", err)
			}
		}
		down := apps.NewAuthority(w.registry, broken{}, w.sessions)
		if _, err := down.RequestToken(t.Context(), full, signed(nil), nil); !coded(err, ably.Unavailable) {
			t.Errorf("got %v while nonces cannot be spent, want %d", err, ably.Unavailable)
		}
	})
}

type broken struct{}

func (broken) Spend(context.Context, [16]byte, time.Time) error { return errors.New("down") }

// Who asks with a credential of its own need not sign, and gets no more than it
// has.
func TestRequestTokenBy(t *testing.T) {
	w := newWorld(t)
	key := w.grant(t, full+":"+secret)
	token := w.grant(t, of(full, map[string]any{"x-ably-clientId": "me", "x-ably-capability": `{"a":["publish"]}`}))
	d, err := w.RequestToken(t.Context(), full, &ably.TokenRequest{ClientID: "you"}, key)
	if err != nil || d.ClientID != "you" || d.Capability != `{"*":["*"]}` {
		t.Errorf("got %+v, %v", d, err)
	}
	d, err = w.RequestToken(t.Context(), full, &ably.TokenRequest{}, token)
	if err != nil || d.ClientID != "me" || d.Capability != `{"a":["publish"]}` || w.grant(t, d.Token).Permissions.Capability() != d.Capability {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err = w.RequestToken(t.Context(), full, &ably.TokenRequest{ClientID: "you"}, token); !coded(err, ably.IncompatibleCredential) {
		t.Errorf("got %v for another client's token, want %d", err, ably.IncompatibleCredential)
	}
	if _, err = w.RequestToken(t.Context(), narrow, &ably.TokenRequest{}, key); !coded(err, ably.BadCredential) {
		t.Errorf("got %v for another key's token, want %d", err, ably.BadCredential)
	}
	if _, err = w.RequestToken(t.Context(), full, &ably.TokenRequest{ClientID: strings.Repeat("x", 7000)}, key); !coded(err, ably.BadRequest) {
		t.Errorf("got %v for a token that is too large, want %d", err, ably.BadRequest)
	}
}

// A token that is asked for with a token ends with it, at the latest, and is taken
// back with it.
func TestRequestTokenByToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		ends := time.Now().Add(10 * time.Minute)
		by := w.grant(t, of(group, map[string]any{"exp": ends.Unix(), "x-ably-revocation-key": "team"}))
		time.Sleep(time.Minute)
		for _, ttl := range []int64{0, time.Hour.Milliseconds(), time.Minute.Milliseconds()} {
			d, err := w.RequestToken(t.Context(), group, &ably.TokenRequest{TTL: ttl}, by)
			if err != nil {
				t.Fatal(err)
			}
			want := ends
			if ttl == time.Minute.Milliseconds() {
				want = time.Now().Add(time.Minute)
			}
			id, err := w.verify(t, "query", d.Token)
			if err != nil || !id.Expires.Equal(want) || d.Expires != want.UnixMilli() {
				t.Fatalf("ttl %d: got %+v of %+v, %v, want it to end at %v", ttl, id, d, err, want)
			}
			if g := w.grant(t, d.Token); g.Group != "team" || id.Session == "" {
				t.Errorf("ttl %d: got the revocation key %q and the session %q", ttl, g.Group, id.Session)
			}
		}
		inner := of(group, nil)
		carrier := jwt(map[string]any{"alg": "HS256", "x-ably-token": inner}, map[string]any{"exp": ends.Unix()}, "x")
		if g := w.grant(t, carrier); !g.Expires.Equal(ends) {
			t.Errorf("got %v for the end of a token that is carried, want its carrier's, %v", g.Expires, ends)
		}
		time.Sleep(time.Until(ends))
		if d, err := w.RequestToken(t.Context(), group, &ably.TokenRequest{}, by); !coded(err, ably.TokenExpired) {
			t.Errorf("got %+v, %v of a token that has ended, want %d", d, err, ably.TokenExpired)
		}
	})
}

func TestRevoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		me := of(group, map[string]any{"x-ably-clientId": "me", "x-ably-revocation-key": "red", "jti": "1"})
		red := of(group, map[string]any{"x-ably-clientId": "you", "x-ably-revocation-key": "red"})
		blue := of(group, map[string]any{"x-ably-clientId": "you", "x-ably-revocation-key": "blue"})
		same := of(full, map[string]any{"x-ably-clientId": "me"})
		time.Sleep(time.Second)
		key := w.grant(t, group+":"+secret)
		now := time.Now().UnixMilli()
		got, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{"clientId:me", "invalidType:abc", "channel:"}}, key)
		if err != nil {
			t.Fatal(err)
		}
		if r := got.Results; len(r) != 3 || r[0].Error != nil || r[0].IssuedBefore != now || r[0].AppliesAt != now || r[1].Error.Status != 400 || r[2].Error.Status != 400 {
			t.Errorf("got %+v", r)
		}
		if w.revoked(t, me) == nil || w.revoked(t, red) != nil || w.revoked(t, same) != nil {
			t.Error("got wrong tokens refused by client id")
		}
		got, err = w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{"revocationKey:red"}, Margin: true}, key)
		if err != nil || got.Results[0].AppliesAt <= now+30_000 {
			t.Errorf("got %+v, %v, want it to apply later", got.Results[0], err)
		}
		if err := w.revoked(t, red); err != nil {
			t.Errorf("got %v before the revocation applies", err)
		}
		time.Sleep(time.Minute)
		if err := w.revoked(t, red); !coded(err, ably.TokenRevoked) || w.revoked(t, blue) != nil {
			t.Errorf("got %v once it applies, want %d, and the other group spared", err, ably.TokenRevoked)
		}
	})
}

// A token is taken back by a channel that its capability has word for word.
func TestRevokeByChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		tokens := map[string]string{}
		for name, capability := range map[string]any{
			"room": `{"room":["subscribe"]}`, "two": `{"other":["publish"],"room":["*"]}`, "wild": `{"room:*":["*"]}`, "all": nil, "more": `{"room:a":["*"],"rooms":["*"]}`,
		} {
			tokens[name] = of(group, map[string]any{"x-ably-capability": capability})
		}
		elsewhere := of(full, map[string]any{"x-ably-capability": `{"room":["subscribe"]}`})
		time.Sleep(time.Second)
		key := w.grant(t, group+":"+secret)
		revoked := func(target string) string {
			t.Helper()
			got, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{target}}, key)
			if err != nil || got.Results[0].Error != nil {
				t.Fatalf("%s: got %+v, %v", target, got, err)
			}
			var list []string
			for name, token := range tokens {
				if err := w.revoked(t, token); coded(err, ably.TokenRevoked) {
					list = append(list, name)
				}
			}
			slices.Sort(list)
			return strings.Join(list, " ")
		}
		if got := revoked("channel:nothing"); got != "" {
			t.Errorf("got %s revoked by a channel that none has", got)
		}
		if got := revoked("channel:room"); got != "room two" {
			t.Errorf("got %s revoked, want those that have the channel", got)
		}
		if got := revoked("channel:*"); got != "all room two" {
			t.Errorf("got %s revoked, want the one with all channels, too", got)
		}
		if w.revoked(t, elsewhere) != nil {
			t.Error("got a token of another key revoked")
		}
		if fresh := of(group, map[string]any{"x-ably-capability": `{"room":["*"]}`, "iat": time.Now().Add(time.Second).Unix()}); w.revoked(t, fresh) != nil {
			t.Error("got a token revoked that was made later")
		}
	})
}

// revoked is why a Guard with the world's sessions refuses a token.
func (w *world) revoked(t *testing.T, token string) error {
	t.Helper()
	id, err := w.verify(t, "query", token)
	if err != nil {
		t.Fatal(err)
	}
	_, err = w.sessions.Renew(t.Context(), id)
	return err
}

func TestRevokeRefused(t *testing.T) {
	w := newWorld(t)
	key, now := w.grant(t, group+":"+secret), time.Now()
	one := []string{"clientId:me"}
	tests := []struct {
		name string
		key  string
		by   *apps.Grant
		r    ably.RevokeRequest
		code ably.Code
	}{
		{"by a token", group, w.grant(t, of(group, nil)), ably.RevokeRequest{Targets: one}, ably.RevocationNeedsKey},
		{"by another key", group, w.grant(t, full+":"+secret), ably.RevokeRequest{Targets: one}, ably.WrongKey},
		{"of a key that cannot", full, w.grant(t, full+":"+secret), ably.RevokeRequest{Targets: one}, ably.RevocationDisabled},
		{"nobody", group, key, ably.RevokeRequest{}, ably.BadRequest},
		{"too many", group, key, ably.RevokeRequest{Targets: make([]string, 101)}, ably.BadRequest},
		{"of the future", group, key, ably.RevokeRequest{Targets: one, IssuedBefore: now.Add(time.Minute).UnixMilli()}, ably.BadParameter},
		{"of long ago", group, key, ably.RevokeRequest{Targets: one, IssuedBefore: now.Add(-2 * time.Hour).UnixMilli()}, ably.BadParameter},
		{"before all times", group, key, ably.RevokeRequest{Targets: one, IssuedBefore: -1}, ably.BadParameter},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, err := w.Revoke(t.Context(), tt.key, &tt.r, tt.by); !coded(err, tt.code) {
				t.Errorf("got %v, want %d", err, tt.code)
			}
		})
	}
	long, err := w.Revoke(t.Context(), group, &ably.RevokeRequest{Targets: []string{"clientId:" + strings.Repeat("x", 2000)}}, key)
	if err != nil || long.Results[0].Error == nil {
		t.Errorf("got %+v, %v for a client id that is too long", long, err)
	}
}
