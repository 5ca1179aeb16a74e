package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// An apiAnswer is one of the admin API.
type apiAnswer struct {
	status int
	header http.Header
	text   string
}

// into decodes the answer, which must have this status.
func (a apiAnswer) into(t testing.TB, status int, to any) {
	t.Helper()
	if a.status != status {
		t.Fatalf("got %d %s, want %d", a.status, a.text, status)
	}
	if err := json.Unmarshal([]byte(a.text), to); err != nil {
		t.Fatalf("got %s: %v", a.text, err)
	}
}

// call calls the API of the listener at addr. A body makes it JSON; headers are
// in pairs.
func call(t testing.TB, addr, method, path, body string, headers ...string) apiAnswer {
	t.Helper()
	h := make(http.Header)
	if body != "" || method == http.MethodDelete {
		h.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i+1] == "" {
			h.Del(headers[i])
			continue
		}
		h[headers[i]] = append(h[headers[i]], headers[i+1])
	}
	res, text := do(t, method, "http://"+addr+"/usher/v1/"+path, h, body)
	return apiAnswer{res.StatusCode, res.Header, text}
}

// A madeKey is an API key that was just made.
type madeKey struct {
	ID       string
	Name     string
	May      []string
	Created  time.Time
	Expires  time.Time
	Disabled bool
	Text     string `json:"key"`
}

// makeKey makes an API key at the admin listener.
func makeKey(t testing.TB, g *gateway, may ...string) madeKey {
	t.Helper()
	body, err := json.Marshal(map[string]any{"name": "test", "may": may})
	if err != nil {
		t.Fatal(err)
	}
	var k madeKey
	call(t, g.admin, http.MethodPost, "keys", string(body)).into(t, http.StatusCreated, &k)
	if !strings.HasPrefix(k.Text, "usher_"+k.ID+"_") {
		t.Fatalf("got a key of another form for %s", k.ID)
	}
	return k
}

// bearerOf is the header with a key, as a pair.
func bearerOf(k madeKey) []string { return []string{"Authorization", "Bearer " + k.Text} }

// as is a handshake's header with a token of these claims.
func as(t testing.TB, claims map[string]any) http.Header {
	t.Helper()
	return http.Header{"Authorization": {"Bearer " + token(t, secret, claims)}}
}

// long lets c wait for its end for longer than others.
func long(c *websocket.Conn) *websocket.Conn {
	c.SetReadDeadline(time.Now().Add(6 * patience))
	return c
}

// twoRoutes is a gateway with /chat and /other, of verifiers that differ.
func twoRoutes(t testing.TB) *gateway {
	t.Helper()
	return start(t, front+fmt.Sprintf(`  strict: {jwt: {issuer: strict, audience: chat, hs256_secret_file: secret}}
routes:
  - {path: /chat, upstream: %[1]q, origins: ["https://app.example.com"], carriers: [ticket: {verify: [local, strict]}, query: {verify: [local]}]}
  - {path: /other, upstream: %[1]q, carriers: [bearer: {verify: [strict]}]}
`, newBackend(t).ws()))
}
