package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
)

// get is a request with a good token of the issuer test.
func get(t testing.TB, g *gateway, host, target string) string {
	t.Helper()
	return raw(t, g.public, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n",
		target, host, bearer(t).Get("Authorization")))
}

// No way to write a name leads past the route of that name to that of all.
func TestNamesOfRoutes(t *testing.T) {
	narrow, wide := newBackend(t), newBackend(t)
	g := start(t, front+fmt.Sprintf(`routes:
  - {path: /chat, hosts: [api.test, "[::1]", "Dot.Test."], upstream: %q, carriers: [bearer: {verify: [local]}]}
  - {path: /chat, upstream: %q, carriers: [bearer: {verify: [local]}]}
`, narrow.ws(), wide.ws()))
	for host, want := range map[string]string{
		"api.test": "200", "API.test": "200", "api.TEST:8080": "200", "[::1]": "200", "[::1]:8080": "200",
		"dot.test.": "200", "api.test.": "421", "api.test.:80": "421", "dot.test": "421",
	} {
		before := wide.requests()
		if answer := get(t, g, host, "/chat"); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%s: got %.100q, want %s", host, answer, want)
		}
		if wide.requests() != before {
			t.Errorf("%s: the route of all names was taken", host)
		}
	}
	if get(t, g, "other.test", "/chat"); wide.requests() != 1 {
		t.Errorf("got %d requests of another name, want 1", wide.requests())
	}
}

// A path that some servers read as that of another route is nobody's.
func TestPathsOfOtherRoutes(t *testing.T) {
	open, private := newBackend(t), newBackend(t)
	g := start(t, front+fmt.Sprintf(`  strong: {jwt: {issuer: strong, audience: chat, hs256_secret_file: secret}}
routes:
  - {path: /docs/, upstream: %q, carriers: [bearer: {verify: [local]}]}
  - {path: /docs/private/, upstream: %q, carriers: [bearer: {verify: [strong]}]}
  - {path: "/rooms/{id}", upstream: %q, carriers: [bearer: {verify: [local]}]}
`, open.ws(), private.ws(), open.ws()))
	for target, want := range map[string]string{
		"/docs/private/x": "401", "/docs/private%2Fx": "400", "/docs/private%2fx": "400", "/docs/%2Fprivate/x": "400",
		"/docs/private%5Cx": "400", "/docs/%5C%5Cprivate%5Cx": "400", `/docs/private\x`: "400", "/docs/private;a=1/x": "400",
		"/docs/private%3Ba/x": "400", "/docs/;a/private/x": "400", "/docs/private%2F": "400", "/docs/private;": "400",
		"/docs%2Fprivate%2Fx": "404", "/docs/x": "200", "/docs/a%2Fb": "200", "/docs/a;v=1/b": "200", "/docs/x%2F": "200",
		"/docs/privately%2Fx": "200", "/rooms/a%2Fb": "200", "/rooms/a;b": "200",
	} {
		before := open.requests()
		if answer := get(t, g, "app.test", target); !strings.HasPrefix(answer, "HTTP/1.1 "+want) {
			t.Errorf("%s: got %.100q, want %s", target, answer, want)
		}
		if (open.requests() > before) != (want == "200") {
			t.Errorf("%s: got %d requests at the backend", target, open.requests()-before)
		}
	}
	if private.requests() != 0 {
		t.Errorf("got %d requests behind the strong verifier", private.requests())
	}
}

// A cookie that is a credential anywhere reaches no upstream of any route.
func TestCookiesOfOtherRoutes(t *testing.T) {
	b, app := newBackend(t), whoami(t)
	g := start(t, front+fmt.Sprintf(`  app: {ask: {url: %[2]s/whoami}}
routes:
  - {path: /chat, upstream: %[1]q, carriers: [ticket: {cookie: desk, verify: [local, app]}, bearer: {verify: [local]}]}
  - {path: /cookie, upstream: %[1]q, carriers: [cookie: {name: sid, verify: [app]}]}
  - {path: /plain, upstream: %[1]q, carriers: [bearer: {verify: [local]}]}
`, b.ws(), app.URL))
	for _, path := range []string{"/chat", "/plain"} {
		for _, upgrade := range []bool{false, true} {
			h := bearer(t)
			h["Cookie"] = []string{`a=" 1";desk=canary-1; sid=canary-2; b;c=x y`}
			if upgrade {
				echo(t, mustDial(t, "ws://"+g.public+path, h), "hello")
			} else if res, _ := do(t, http.MethodGet, "http://"+g.public+path, h, ""); res.StatusCode != http.StatusOK {
				t.Fatalf("%s: got %d, want 200", path, res.StatusCode)
			}
			b.mu.Lock()
			got := b.headers[len(b.headers)-1]["Cookie"]
			b.mu.Unlock()
			if len(got) != 1 || got[0] != `a=" 1"; b;c=x y` {
				t.Errorf("%s, upgrade %v: got %q, want the others only", path, upgrade, got)
			}
		}
	}
	if strings.Contains(b.got.String(), "canary") {
		t.Error("a credential reached the backend")
	}
}
