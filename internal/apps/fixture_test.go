package apps_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
)

const (
	secret = "0123456789abcdef"
	full   = "app.full"
	narrow = "app.narrow"
	group  = "app.group" // Whose tokens can be revoked.
)

// A world is an app with three keys.
type world struct {
	*apps.Authority
	registry *apps.Registry
	sessions *usher.Sessions
	spender  *usher.MemorySpender
}

func newWorld(t testing.TB) *world {
	t.Helper()
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	t.Cleanup(h.Close)
	w := &world{registry: apps.NewRegistry(h), sessions: new(usher.Sessions), spender: new(usher.MemorySpender)}
	err := w.registry.Set(&apps.App{ID: "app", Keys: []*apps.Key{
		{ID: "full", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"*":["*"]}`)},
		{ID: "narrow", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"a":["publish","subscribe"],"b:*":["*"]}`)},
		{ID: "group", Secret: usher.NewSecret(secret), Permissions: permissions(t, `{"*":["*"]}`), Revocable: true},
	}})
	if err != nil {
		t.Fatal(err)
	}
	w.Authority = apps.NewAuthority(w.registry, w.spender, w.sessions)
	return w
}

func permissions(t testing.TB, capability string) usher.Permissions {
	t.Helper()
	p, err := usher.NewPermissions("", capability)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// jwt signs claims with a secret, as an application's own server does.
func jwt(header, claims map[string]any, secret string) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	text := part(header) + "." + part(claims)
	h := hmac.New(sha256.New, []byte(secret))
	h.Write([]byte(text))
	return text + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

// of returns a JWT of a key for an hour, with claims beside the times.
func of(key string, claims map[string]any) string {
	all := map[string]any{"iat": time.Now().Unix(), "exp": time.Now().Add(time.Hour).Unix()}
	for name, v := range claims {
		if all[name] = v; v == nil {
			delete(all, name)
		}
	}
	return jwt(map[string]any{"alg": "HS256", "typ": "JWT", "kid": key}, all, secret)
}

// verify judges a token that came by carrier.
func (w *world) verify(t testing.TB, carrier, token string) (*usher.Identity, error) {
	t.Helper()
	return w.Verify(t.Context(), usher.Credential{Carrier: carrier, Kind: usher.KindToken, Secret: usher.NewSecret(token)})
}

// grant is verify for a token that is good.
func (w *world) grant(t testing.TB, token string) *apps.Grant {
	t.Helper()
	id, err := w.verify(t, "query", token)
	if err != nil {
		t.Fatal(err)
	}
	g, err := w.registry.Grant(id)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// coded reports whether err is the code in Ably's words.
func coded(err error, want ably.Code) bool { return err != nil && apps.Explain(err).Code == want }
