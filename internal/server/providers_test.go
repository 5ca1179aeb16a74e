package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/ushertest"
)

// An authority answers about opaque tokens (RFC 7662).
type authority struct {
	*httptest.Server
	mu sync.Mutex
	// Guarded by mu.
	active map[string]string // Subjects by token.
	asked  []string
}

func newAuthority(t testing.TB) *authority {
	a := &authority{active: make(map[string]string)}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.PostFormValue("token")
		a.mu.Lock()
		defer a.mu.Unlock()
		a.asked = append(a.asked, token)
		if id, secret, ok := r.BasicAuth(); !ok || id != "gateway" || secret != "s3cret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		sub, ok := a.active[token]
		json.NewEncoder(w).Encode(map[string]any{"active": ok, "sub": sub, "aud": "chat", "token_type": "Bearer"})
	}))
	t.Cleanup(a.Close)
	return a
}

func (a *authority) set(token, sub string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.active[token] = sub; sub == "" {
		delete(a.active, token)
	}
}

func asBearer(token string) http.Header { return http.Header{"Authorization": {"Bearer " + token}} }

// Two providers that are discovered, one that is asked, and keys of one's own,
// side by side on a route: each judges its own tokens, and the one that is asked
// is told no other's.
func TestProviders(t *testing.T) {
	b, opaque := newBackend(t), newAuthority(t)
	one, two, other := ushertest.NewIssuer(t), ushertest.NewIssuer(t), ushertest.NewIssuer(t)
	dir := t.TempDir()
	write(t, dir, "client", "s3cret\n")
	g := startIn(t, dir, front+fmt.Sprintf(`  one: {jwt: {issuer: %q, audience: test, discover: true}}
  two: {jwt: {issuer: %q, audience: test, discover: true}}
  opaque: {introspect: {url: %q, issuer: %[3]q, audience: chat, client_id: gateway, client_secret_file: client}}
routes:
  - {path: /chat, upstream: %[4]q, carriers: [bearer: {verify: [opaque, one, two, local]}], identity: {headers: {X-User: sub}}}
`, one.URL, two.URL, opaque.URL, b.ws()))
	opaque.set("opaque-token", "olga")
	for name, h := range map[string]http.Header{
		"alice": bearer(t), "uno": asBearer(one.Token("uno")), "duo": asBearer(two.Token("duo")), "olga": asBearer("opaque-token"),
	} {
		echo(t, mustDial(t, "ws://"+g.public+"/chat", h), "hello")
		b.mu.Lock()
		if got := b.headers[len(b.headers)-1].Get("X-User"); got != name {
			t.Errorf("got user %q, want %q", got, name)
		}
		b.mu.Unlock()
	}
	for name, token := range map[string]string{
		"unknown": "made-up", "a third issuer's": other.Token("eve"), "wrong key": one.WrongKey("eve"),
		"expired": two.Expired("eve"), "another audience": one.Token("eve", usher.Claims{"aud": "other"}),
	} {
		if _, err := dial(t, "ws://"+g.public+"/chat", asBearer(token)); err == nil || !strings.Contains(err.Error(), "status 401") {
			t.Errorf("%s: got %v, want 401", name, err)
		}
	}
	opaque.mu.Lock()
	for _, token := range opaque.asked {
		if token != "opaque-token" && token != "made-up" {
			t.Errorf("the authority was told a token of another's")
		}
	}
	opaque.mu.Unlock()
	_, body := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, "")
	if strings.Count(body, `"name": "keys of `) != 2 {
		t.Errorf("got %s, want the keys of one and of two", body)
	}
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat", asBearer(one.Token("uno"))), "after a reload")
}

// A token that became inactive ends the connection that it opened.
func TestIntrospectionEnds(t *testing.T) {
	b, opaque := newBackend(t), newAuthority(t)
	dir := t.TempDir()
	write(t, dir, "client", "s3cret")
	g := startIn(t, dir, front+fmt.Sprintf(`  opaque: {introspect: {url: %q, issuer: opaque, audience: chat, client_id: gateway, client_secret_file: client, max_age: 2s}}
routes: [{path: /chat, upstream: %q, carriers: [bearer: {verify: [opaque]}]}]
`, opaque.URL, b.ws()))
	opaque.set("opaque-token", "olga")
	c := mustDial(t, "ws://"+g.public+"/chat", asBearer("opaque-token"))
	for opaque.questions() < 2 {
		echo(t, c, "still here")
		time.Sleep(time.Millisecond)
	}
	echo(t, c, "and goes on")
	opaque.set("opaque-token", "")
	if code, reason := closeOf(c); code != 4401 {
		t.Errorf("got %d %s, want 4401", code, reason)
	}
	if _, err := dial(t, "ws://"+g.public+"/chat", asBearer("opaque-token")); err == nil || !strings.Contains(err.Error(), "status 401") {
		t.Errorf("got %v, want 401", err)
	}
}

func (a *authority) questions() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(a.asked)
}
