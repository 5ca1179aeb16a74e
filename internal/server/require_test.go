package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// What a route requires is asked at its door, at its ticket desk, and of what
// renews its connections.
func TestRequire(t *testing.T) {
	g := start(t, front+fmt.Sprintf(`routes:
  - path: /chat
    upstream: %q
    require: {scope: [chat], claims: {tenant: [acme, globex]}}
    carriers: [ticket: {verify: [local]}, bearer: {verify: [local]}]
`, newBackend(t).ws()))
	now := time.Now().Unix()
	enough := map[string]any{"iat": now - 10, "sid": "s", "scope": "chat news", "tenant": "acme"}
	less := map[string]any{"iat": now - 5, "sid": "s", "scope": "news", "tenant": "acme"}
	target := "ws://" + g.public + "/chat"

	if _, err := dial(t, target, as(t, less)); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("with less: got %v, want 403", err)
	}
	r, body := do(t, "POST", "http://"+g.public+"/usher/v1/tickets", as(t, less), "")
	if got := r.Header.Get("WWW-Authenticate"); r.StatusCode != http.StatusForbidden || got != `Bearer error="insufficient_scope", scope="chat"` {
		t.Errorf("a ticket with less: got %d %q %s, want 403 and what would be enough", r.StatusCode, got, body)
	}
	c := mustDial(t, target, as(t, enough))
	echo(t, c, "hello")
	if got := renew(t, g, "", "Authorization", as(t, less).Get("Authorization")); got.status != 403 {
		t.Errorf("a renewal with less: got %d %s, want 403", got.status, got.text)
	}
	if code, reason := closeOf(c); code != 4403 || !strings.HasPrefix(reason, "forbidden ") {
		t.Errorf("got %d %s, want 4403 forbidden", code, reason)
	}
}
