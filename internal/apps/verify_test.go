package apps_test

import (
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
)

func TestKey(t *testing.T) {
	w := newWorld(t)
	id, err := w.verify(t, "query", full+":"+secret)
	if err != nil {
		t.Fatal(err)
	}
	g, err := w.registry.Grant(id)
	if err != nil {
		t.Fatal(err)
	}
	if !g.Basic || g.App != "app" || g.Key != full || g.ClientID != apps.Anyone || g.Permissions.Capability() != `{"*":["*"]}` || !id.Recheck {
		t.Errorf("got %+v of %+v", g, id)
	}
	for _, bad := range []string{full + ":" + secret + "x", "app.none:" + secret, "none.full:" + secret, "app.full.x:" + secret, "this.is:wrong", "made:up", ":" + secret} {
		if _, err := w.verify(t, "query", bad); !coded(err, ably.BadCredential) {
			t.Errorf("%s: got %v, want %d", bad, err, ably.BadCredential)
		}
	}
	if _, err := w.Verify(t.Context(), usher.Credential{Kind: usher.KindPassword, Username: full, Secret: usher.NewSecret(secret)}); !errors.Is(err, usher.ErrUnrecognized) {
		t.Errorf("got %v for a password, want ErrUnrecognized", err)
	}
	w.registry.Remove("app")
	if _, err := w.verify(t, "query", full+":"+secret); !coded(err, ably.BadCredential) {
		t.Errorf("got %v for a key of an app that is gone", err)
	}
}

func TestToken(t *testing.T) {
	w := newWorld(t)
	in := func(d time.Duration) int64 { return time.Now().Add(d).Unix() }
	tests := []struct {
		name, token string
		code        ably.Code // 0: it is good.
		is          error
	}{
		{"good", of(full, nil), 0, nil},
		{"half a second", of(full, map[string]any{"exp": float64(time.Now().Add(time.Hour).Unix()) + 0.5}), 0, nil},
		{"no iat", of(full, map[string]any{"iat": nil}), 0, nil},
		{"iat a minute ahead", of(full, map[string]any{"iat": in(time.Minute)}), 0, nil},
		{"unknown claims", of(full, map[string]any{"x": []any{1, map[string]any{}}}), 0, nil},
		{"expired", of(full, map[string]any{"iat": in(-2 * time.Hour), "exp": in(-time.Second)}), ably.TokenExpired, usher.ErrExpired},
		{"no exp", of(full, map[string]any{"exp": nil}), ably.BadJWT, nil},
		{"exp in a string", of(full, map[string]any{"exp": "1"}), ably.BadJWT, nil},
		{"iat in an hour", of(full, map[string]any{"iat": in(30 * time.Minute)}), ably.BadJWT, nil},
		{"nbf in an hour", of(full, map[string]any{"nbf": in(time.Hour)}), ably.BadJWT, nil},
		{"a day and more", of(full, map[string]any{"exp": in(25 * time.Hour)}), ably.BadParameter, nil},
		{"without end", of(full, map[string]any{"exp": 1e300}), ably.BadParameter, nil},
		{"a day and more, without iat", of(full, map[string]any{"iat": nil, "exp": in(25 * time.Hour)}), ably.BadParameter, nil},
		{"more than an hour of a revocable key", of(group, map[string]any{"exp": in(2 * time.Hour)}), ably.BadParameter, nil},
		{"an unknown key", of("invalid.invalid", nil), ably.UnknownKey, usher.ErrUnrecognized},
		{"no key", jwt(map[string]any{"alg": "HS256"}, map[string]any{}, secret), ably.UnknownKey, usher.ErrUnrecognized},
		{"wrong signature", of(full, nil) + "AA", ably.BadJWT, nil},
		{"another secret", jwt(map[string]any{"alg": "HS256", "kid": full}, map[string]any{"exp": in(time.Hour)}, "x"), ably.BadJWT, nil},
		{"alg none", jwt(map[string]any{"alg": "none", "kid": full}, map[string]any{"exp": in(time.Hour)}, secret), ably.BadJWT, usher.ErrUnrecognized},
		{"alg HS512", jwt(map[string]any{"alg": "HS512", "kid": full}, map[string]any{"exp": in(time.Hour)}, secret), ably.BadJWT, usher.ErrUnrecognized},
		{"crit", jwt(map[string]any{"alg": "HS256", "kid": full, "crit": []string{"x"}}, map[string]any{"exp": in(time.Hour)}, secret), ably.BadJWT, nil},
		{"no claims", jwt(map[string]any{"alg": "HS256", "kid": full}, nil, secret), ably.BadJWT, nil},
		{"opaque", "abc", ably.TokenUnknown, usher.ErrUnrecognized},
		{"dots", "a.b.c", ably.BadJWT, usher.ErrUnrecognized},
		{"a client id that is empty", of(full, map[string]any{"x-ably-clientId": ""}), ably.BadClientID, nil},
		{"a client id that is a number", of(full, map[string]any{"x-ably-clientId": 5}), ably.BadClientID, nil},
		{"a capability that is none", of(full, map[string]any{"x-ably-capability": `{"*":["fly"]}`}), ably.BadRequest, nil},
		{"an empty capability", of(full, map[string]any{"x-ably-capability": ""}), ably.BadRequest, nil},
		{"a list for a capability", of(full, map[string]any{"x-ably-capability": []string{}}), ably.BadRequest, nil},
		{"deep", jwt(map[string]any{"alg": "HS256", "kid": full, "x": strings.Repeat("[", 5000)}, nil, secret), ably.BadJWT, usher.ErrUnrecognized},
		{"large", of(full, map[string]any{"x": strings.Repeat("x", 9000)}), ably.BadJWT, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := w.verify(t, "query", tt.token)
			if tt.code == 0 && err != nil || tt.code != 0 && !coded(err, tt.code) {
				t.Errorf("got %v, want %d", err, tt.code)
			}
			if tt.is != nil && !errors.Is(err, tt.is) {
				t.Errorf("got %v, want %v", err, tt.is)
			}
			if err != nil && strings.Contains(err.Error(), tt.token) {
				t.Errorf("got the token in %v", err)
			}
			if tt.code == ably.BadJWT && !strings.Contains(apps.Explain(err).Message, "invalid JWT format") {
				t.Errorf("got %q, which SDKs look for other words in", apps.Explain(err).Message)
			}
		})
	}
}

func TestTokenGrant(t *testing.T) {
	w := newWorld(t)
	tests := []struct {
		name, token, clientID, capability string
	}{
		{"nothing said", of(narrow, nil), "", `{"a":["publish","subscribe"],"b:*":["*"]}`},
		{"a client", of(full, map[string]any{"x-ably-clientId": "me"}), "me", `{"*":["*"]}`},
		{"anyone", of(full, map[string]any{"x-ably-clientId": "*"}), "*", `{"*":["*"]}`},
		{"less", of(narrow, map[string]any{"x-ably-capability": `{"b:c":["publish"],"z":["*"]}`}), "", `{"b:c":["publish"]}`},
		{"less, as an object", of(narrow, map[string]any{"x-ably-capability": map[string]any{"a": []string{"*"}}}), "", `{"a":["publish","subscribe"]}`},
		{"nothing", of(narrow, map[string]any{"x-ably-capability": `{"z":["*"]}`}), "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := w.grant(t, tt.token)
			if g.Basic || g.ClientID != tt.clientID || g.Permissions.Capability() != tt.capability {
				t.Errorf("got %q %s, want %q %s", g.ClientID, g.Permissions.Capability(), tt.clientID, tt.capability)
			}
		})
	}
}

// Tokens come plain, and in a header also in base64.
func TestTokenInHeader(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{of(full, nil), full + ":" + secret} {
		for _, text := range []string{token, base64.StdEncoding.EncodeToString([]byte(token)), base64.RawStdEncoding.EncodeToString([]byte(token))} {
			if _, err := w.verify(t, "bearer", text); err != nil {
				t.Errorf("%.20s: %v", text, err)
			}
		}
		if _, err := w.verify(t, "query", base64.StdEncoding.EncodeToString([]byte(token))); err == nil {
			t.Error("got base64 accepted in the query, where nobody puts it")
		}
	}
}

func TestEmbedded(t *testing.T) {
	w := newWorld(t)
	inner := of(narrow, map[string]any{"x-ably-clientId": "me"})
	end := func(d time.Duration) map[string]any { return map[string]any{"exp": time.Now().Add(d).Unix()} }
	header := map[string]any{"alg": "RS256", "x-ably-token": inner}
	jwe := strings.Split(jwt(header, nil, ""), ".")[0] + ".a.b.c.d"
	tests := []struct {
		name, token string
		code        ably.Code
	}{
		{"in the header", jwt(header, end(time.Minute), "theirs"), 0},
		{"in the claims", jwt(map[string]any{"alg": "HS256"}, map[string]any{"x-ably-token": inner}, "theirs"), 0},
		{"in the claims, of another algorithm", jwt(map[string]any{"alg": "ES256"}, map[string]any{"x-ably-token": inner}, "theirs"), 0},
		{"encrypted", jwe, 0},
		{"the outer expired", jwt(header, end(-time.Minute), "theirs"), ably.TokenExpired},
		{"the outer lives longer", jwt(header, end(2*time.Hour), "theirs"), ably.BadJWT},
		{"the inner is forged", jwt(map[string]any{"x-ably-token": inner + "AA"}, nil, ""), ably.BadJWT},
		{"the inner has one too", jwt(map[string]any{"x-ably-token": jwt(header, nil, "")}, nil, ""), ably.BadJWT},
		{"encrypted, and nothing in it", strings.Split(jwt(map[string]any{"alg": "dir"}, nil, ""), ".")[0] + ".a.b.c.d", ably.BadJWT},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			id, err := w.verify(t, "query", tt.token)
			if tt.code != 0 {
				if !coded(err, tt.code) {
					t.Errorf("got %v, want %d", err, tt.code)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if g, err := w.registry.Grant(id); err != nil || g.ClientID != "me" || g.Key != narrow {
				t.Errorf("got %+v, %v, want what the inner token says", g, err)
			}
			if tt.name == "in the header" && time.Until(id.Expires) > time.Minute {
				t.Errorf("got the end at %v, want the outer token's", id.Expires)
			}
		})
	}
}
