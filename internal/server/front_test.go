package server_test

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

// hosted is a gateway that answers to two names.
func hosted(t testing.TB, b *backend) *gateway {
	return start(t, front+fmt.Sprintf(`hosts: [app.test, "api.test"]
routes:
  - {path: /chat, upstream: "%[1]s", carriers: [bearer: {verify: [local]}]}
  - {path: /docs/, upstream: "%[1]s", carriers: [bearer: {verify: [local]}]}
  - {path: "/rooms/{id}", upstream: "%[1]s", hosts: [api.test], carriers: [bearer: {verify: [local]}]}
`, b.ws()))
}

// No form of a path is redirected, and no answer is anything but ours.
func TestPaths(t *testing.T) {
	b := newBackend(t)
	g := hosted(t, b)
	tests := []struct {
		name, target, host string
		want               int
	}{
		{"a route", "/chat", "app.test", 200},
		{"a route with a port", "/chat", "app.test:8080", 200},
		{"a route in another case", "/chat", "APP.test", 200},
		{"below a route", "/docs/a/b", "app.test", 200},
		{"a wildcard", "/rooms/7", "api.test", 200},
		{"a route of another name", "/rooms/7", "app.test", 404},
		{"unknown", "/nothing", "app.test", 404},
		{"the root", "/", "app.test", 404},
		{"a slash too much", "/chat/", "app.test", 404},
		{"a slash too little", "/docs", "app.test", 404},
		{"two slashes", "//chat", "app.test", 400},
		{"only slashes", "//", "app.test", 400},
		{"dots", "/docs/../chat", "app.test", 400},
		{"escaped dots", "/docs/%2e%2e/chat", "app.test", 400},
		{"an escaped slash behind dots", "/docs/..%2fchat", "app.test", 400},
		{"an escaped backslash behind dots", "/docs/..%5cchat", "app.test", 400},
		{"a dot", "/./chat", "app.test", 400},
		{"dots for a wildcard", "/rooms/%2e%2e", "api.test", 400},
		{"an own path that is none", "/usher/v1/nothing", "app.test", 404},
		{"the admin's own", "/usher/v1/status", "app.test", 404},
		{"another name", "/chat", "evil.test", 421},
		{"another name, unknown path", "/nothing", "evil.test", 421},
		{"another name at the desk", "/usher/v1/tickets", "evil.test", 421},
		{"an absolute target", "http://evil.test/chat", "app.test", 421},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := b.requests()
			text := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n",
				tt.target, tt.host, bearer(t).Get("Authorization"))
			answer := raw(t, g.public, text)
			if !strings.HasPrefix(answer, fmt.Sprintf("HTTP/1.1 %d ", tt.want)) {
				t.Errorf("got %.200q, want %d", answer, tt.want)
			}
			if strings.Contains(answer, "\r\nLocation:") {
				t.Errorf("got a redirect: %q", answer)
			}
			if (b.requests() > before) != (tt.want == 200) {
				t.Errorf("got %d requests at the backend", b.requests()-before)
			}
			if tt.want != 200 && !strings.Contains(answer, "\r\nContent-Type: application/problem+json\r\n") {
				t.Errorf("got %q, want a problem document", answer)
			}
		})
	}
}

// Methods that could show a client what the gateway tells an upstream, or that
// are tunnels of another kind, go nowhere.
func TestMethods(t *testing.T) {
	b := newBackend(t)
	g := hosted(t, b)
	for method, want := range map[string]string{
		"TRACE /chat": "501", "trace /chat": "501", "Trace /chat": "501", "CONNECT /chat": "501", "CONNECT app.test:80": "4", "OPTIONS *": "200", "GET *": "4", "PRI *": "4",
	} {
		answer := raw(t, g.public, method+" HTTP/1.1\r\nHost: app.test\r\nAuthorization: "+bearer(t).Get("Authorization")+"\r\nConnection: close\r\n\r\n")
		if !strings.HasPrefix(answer, "HTTP/1.1 "+want) || strings.Contains(answer, "\r\nLocation:") {
			t.Errorf("%s: got %.200q, want %s", method, answer, want)
		}
	}
	if b.requests() != 0 {
		t.Errorf("got %d requests at the backend, want none", b.requests())
	}
}

// What is on one listener is not on the other.
func TestListenersApart(t *testing.T) {
	g := start(t, front+"routes: [{path: /, upstream: "+`"`+newBackend(t).ws()+`"`+", carriers: [bearer: {verify: [local]}]}]\n")
	for _, path := range []string{"/healthz", "/readyz", "/metrics", "/usher/v1/status", "/usher/v1/explain/ABCDEFGHIJKL"} {
		if res, body := do(t, http.MethodGet, "http://"+g.public+path, nil, ""); res.StatusCode != http.StatusUnauthorized && res.StatusCode != http.StatusNotFound {
			t.Errorf("public %s: got %d %s, want 401 or 404", path, res.StatusCode, body)
		}
	}
	if res, body := do(t, http.MethodGet, "http://"+g.public+"/metrics", bearer(t), ""); body != "plain /up/metrics" {
		t.Errorf("got %d %q, want the backend's own", res.StatusCode, body)
	}
	for _, path := range []string{"/", "/chat", "/usher/v1/tickets", "/usher/v1/csrf", "/usher/v1/"} {
		if res, body := do(t, http.MethodGet, "http://"+g.admin+path, bearer(t), ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("admin %s: got %d %s, want 404", path, res.StatusCode, body)
		}
	}
}

// A foreign page that has its name point at loopback gets nothing.
func TestAdminNames(t *testing.T) {
	g := start(t, front)
	port := g.admin[strings.LastIndexByte(g.admin, ':'):]
	for host, want := range map[string]int{
		"localhost": 200, "localhost" + port: 200, "127.0.0.1" + port: 200, "[::1]": 200, "LOCALHOST": 200,
		"evil.test": 421, "evil.test" + port: 421, "localhost.evil.test": 421, "127.0.0.1.evil.test": 421,
	} {
		if res, _ := do(t, http.MethodGet, "http://"+g.admin+"/healthz", http.Header{"Host": {host}}, ""); res.StatusCode != want {
			t.Errorf("%s: got %d, want %d", host, res.StatusCode, want)
		}
	}
	if res, _ := do(t, http.MethodPost, "http://"+g.admin+"/healthz", nil, ""); res.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("got %d for POST, want 405", res.StatusCode)
	}
}

// Two routes of one path, under two names, do not take each other's tickets.
func TestSamePath(t *testing.T) {
	b := newBackend(t)
	one := `  - {path: /chat, hosts: [%s], upstream: "` + b.ws() + `", carriers: [ticket: {}, bearer: {verify: [local]}]}` + "\n"
	g := start(t, front+"hosts: [a.test, b.test]\nroutes:\n"+fmt.Sprintf(one, "a.test")+fmt.Sprintf(one, "b.test"))
	h := bearer(t)
	h["Host"] = []string{"a.test"}
	res, body := do(t, http.MethodPost, "http://"+g.public+"/usher/v1/tickets?route=a.test/chat", h, "")
	var answer struct{ Ticket string }
	if err := json.Unmarshal([]byte(body), &answer); res.StatusCode != http.StatusOK || err != nil {
		t.Fatalf("got %d %s, want a ticket", res.StatusCode, body)
	}
	url := "ws://" + g.public + "/chat?ticket=" + answer.Ticket
	if _, err := dial(t, url, http.Header{"Host": {"b.test"}}); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v at the other name, want 401", err)
	}
	echo(t, mustDial(t, url, http.Header{"Host": {"a.test"}}), "at its own")
}

// An upstream behind a Unix socket is one as any other.
func TestSocketUpstream(t *testing.T) {
	b := newBackend(t)
	socket := filepath.Join(t.TempDir(), "s%41?b#c%") // What has a meaning in URLs has none here.
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	behind := &http.Server{Handler: b.Config.Handler}
	served := make(chan error, 1)
	go func() { served <- behind.Serve(l) }()
	t.Cleanup(func() {
		behind.Close()
		<-served
	})
	g := start(t, front+"routes: [{path: /chat, upstream: \"ws+unix://"+socket+":/up\", carriers: [bearer: {verify: [local]}]}]\n")
	echo(t, mustDial(t, "ws://"+g.public+"/chat", bearer(t)), "through a socket")
	if _, body := do(t, http.MethodGet, "http://"+g.public+"/chat", bearer(t), ""); body != "plain /up" {
		t.Errorf("got %q", body)
	}
	if res, body := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, ""); res.StatusCode != http.StatusOK {
		t.Errorf("got %d %s, want it to be ready", res.StatusCode, body)
	}
}
