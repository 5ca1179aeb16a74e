package server_test

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	natsd "github.com/nats-io/nats-server/v2/server"

	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine/enginetest"
	"github.com/usher-ws/usher/internal/server"
)

// withEngine is a configuration with a route for tickets and tokens, on an engine
// that is no memory.
func withEngine(engine, upstream string) string {
	return strings.Replace(front, "engine: {memory: true}", "engine: "+engine, 1) + fmt.Sprintf(
		"  app: {ask: {url: %q}}\nroutes: [{path: /chat, upstream: %q, origins: [%q], carriers: [ticket: {verify: [local]}, bearer: {verify: [local]}]}]\n",
		"http://127.0.0.1:1/whoami", upstream, page)
}

// TestEngineRestart: an engine with a directory remembers over a restart.
func TestEngineRestart(t *testing.T) {
	b, dir := newBackend(t), t.TempDir()
	text := withEngine("{data: kept}", b.ws())
	g := startIn(t, dir, text)
	old := as(t, map[string]any{"iat": time.Now().Add(-time.Minute).Unix(), "sub": "eve"})
	spent, unspent := buy(t, g, "?route=/chat", bearer(t)), buy(t, g, "?route=/chat", bearer(t))
	mustDial(t, "ws://"+g.public+"/chat?ticket="+spent, nil).Close()
	key := makeKey(t, g, "connections")
	if got := call(t, g.admin, "POST", "revocations", `{"subject":"eve"}`); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.text)
	}
	g.stop()

	for name, about := range map[string]os.FileMode{"kept": 0o700} {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Mode().Perm() != about {
			t.Errorf("got %v, %v for %s, want mode %v", info, err, name, about)
		}
	}
	g = startIn(t, dir, text)
	if _, err := dial(t, "ws://"+g.public+"/chat?ticket="+spent, nil); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v for a spent ticket, want 401", err)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat?ticket="+unspent, nil), "a ticket from before")
	if _, err := dial(t, "ws://"+g.public+"/chat", old); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v for a revoked token, want 401", err)
	}
	if got := call(t, g.public, "GET", "connections", "", bearerOf(key)...); got.status != 200 {
		t.Errorf("got %d for an API key from before, want 200", got.status)
	}

	// The directory is of one process.
	c, err := config.Load(g.file, nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := server.New(c, server.Options{Logs: g.logs})
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "in use by another process") {
		t.Errorf("got %v from a second server on the directory", err)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat", bearer(t)), "the first one goes on")
}

// A CSRF token is good on every node of the engine, and after a restart.
func TestEngineKeepsCSRF(t *testing.T) {
	b, app, dir := newBackend(t), whoami(t), t.TempDir()
	text := strings.Replace(front, "engine: {memory: true}", "engine: {data: kept}", 1) + fmt.Sprintf(
		"  app: {ask: {url: %q}}\nroutes: [{path: /csrf, upstream: %q, origins: [%q], carriers: [cookie: {name: sid, verify: [app], csrf: true}]}]\n",
		app.URL+"/whoami", b.ws(), page)
	g := startIn(t, dir, text)
	res, body := do(t, http.MethodGet, "http://"+g.public+"/usher/v1/csrf", cookie("known-session"), "")
	_, rest, _ := strings.Cut(body, `"csrf_token":"`)
	proof, _, _ := strings.Cut(rest, `"`)
	if res.StatusCode != http.StatusOK || proof == "" {
		t.Fatalf("got %d %s", res.StatusCode, body)
	}
	g.stop()
	g = startIn(t, dir, text)
	echo(t, mustDial(t, "ws://"+g.public+"/csrf?csrf_token="+proof, cookie("known-session")), "proven")
}

// What keeps an engine from opening is said, and ends the server.
func TestEngineRefusals(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "secret", secret)
	if err := os.Mkdir(filepath.Join(dir, "bad"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "bad"), "jetstream", "a file where a directory should be")
	for _, tt := range []struct{ name, engine, want string }{
		{"something else in it", "{data: bad}", "bad"},
	} {
		c, err := config.Load(write(t, dir, "usher.yaml", withEngine(tt.engine, "ws://127.0.0.1:1/")), nil)
		if err != nil {
			t.Fatal(err)
		}
		s, err := server.New(c, server.Options{Logs: new(logbook), Ready: func(net.Addr, net.Addr) {
			t.Errorf("%s: served without an engine", tt.name)
		}})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Run(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "open engine: ") || strings.Count(err.Error(), "engine:") != 1 || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, want %q in it", tt.name, err, tt.want)
		}
	}
}

// natsServer starts a NATS server with its data in dir, on this port.
func natsServer(t testing.TB, dir string, port int) *natsd.Server {
	t.Helper()
	s, err := natsd.NewServer(&natsd.Options{
		Host: "127.0.0.1", Port: port, JetStream: true, StoreDir: dir, NoLog: true, NoSigs: true, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	s.Start()
	if !s.ReadyForConnections(patience) {
		t.Fatalf("no NATS server after %v", patience)
	}
	t.Cleanup(func() {
		s.Shutdown()
		s.WaitForShutdown()
	})
	return s
}

// TestEngineDown: a node that cannot reach its engine refuses tickets, judges
// what it can judge alone, says so, and recovers.
func TestEngineDown(t *testing.T) {
	dir := t.TempDir()
	port := enginetest.FreePorts(t, 1)[0]
	nats := natsServer(t, dir, port)
	g := start(t, withEngine(fmt.Sprintf("{nats: nats://127.0.0.1:%d, key: {file: secret}}", port), newBackend(t).ws()))
	live := long(mustDial(t, "ws://"+g.public+"/chat", bearer(t)))
	key := makeKey(t, g, "connections", "revocations", "keys")
	first := buy(t, g, "?route=/chat", http.Header{"Authorization": bearer(t)["Authorization"], "Origin": {page}})
	if got := ready(t, g); got.status != 200 || !strings.Contains(got.text, `"name": "engine"`) {
		t.Fatalf("got %d %s", got.status, got.text)
	}

	nats.Shutdown()
	nats.WaitForShutdown()
	until(t, "unready", func() bool { return ready(t, g).status == 503 })
	if got := ready(t, g); !strings.Contains(got.text, `"ok": false`) {
		t.Errorf("got %s", got.text)
	}
	g.logs.await(t, "level=WARN")
	c := mustDial(t, "ws://"+g.public+"/chat?ticket="+first, http.Header{"Origin": {page}})
	if code, reason := closeOf(c); code != 4503 || !strings.HasPrefix(reason, "unavailable ") {
		t.Errorf("got %d %s for a ticket, want 4503", code, reason)
	}
	echo(t, live, "the live one")
	eve := mustDial(t, "ws://"+g.public+"/chat", as(t, map[string]any{"sub": "eve", "iat": time.Now().Add(-time.Minute).Unix()}))
	echo(t, eve, "a token")
	if got := call(t, g.public, "GET", "connections", "", bearerOf(key)...); got.status != 200 {
		t.Errorf("got %d for an API key that is known, want 200", got.status)
	}
	got := call(t, g.public, "POST", "revocations", `{"subject":"eve"}`, bearerOf(key)...)
	if got.status != 503 || !strings.Contains(got.text, `"connections": 1`) || !strings.Contains(got.text, "revoked on this node") {
		t.Errorf("got %d %s, want 503 and what was done", got.status, got.text)
	}
	if code, _ := closeOf(eve); code != 4401 {
		t.Errorf("got %d for eve, want 4401", code)
	}
	if got := call(t, g.public, "POST", "keys", `{"may":["keys"]}`, bearerOf(key)...); got.status != 503 {
		t.Errorf("got %d %s for a new key, want 503", got.status, got.text)
	}
	if _, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, ""); !strings.Contains(metrics, "usher_engine_up 0") {
		t.Error("the metrics do not say that the engine is down")
	}
	if got := call(t, g.admin, "GET", "status", ""); !strings.Contains(got.text, `"kind": "nats"`) || !strings.Contains(got.text, `"down_since"`) {
		t.Errorf("got %s, want the engine down", got.text)
	}

	natsServer(t, dir, port)
	until(t, "ready again", func() bool { return ready(t, g).status == 200 })
	ticket := buy(t, g, "?route=/chat", bearer(t))
	echo(t, mustDial(t, "ws://"+g.public+"/chat?ticket="+ticket, nil), "a ticket")
	if _, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, ""); !strings.Contains(metrics, "usher_engine_up 1") ||
		!strings.Contains(metrics, "usher_engine_down_seconds 0") {
		t.Error("the metrics do not say that the engine is back")
	}
	echo(t, live, "the live one still")
}

// ready is what /readyz answers.
func ready(t testing.TB, g *gateway) apiAnswer {
	t.Helper()
	res, text := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, "")
	return apiAnswer{res.StatusCode, res.Header, text}
}

// until waits for what should come soon.
func until(t testing.TB, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * patience); !is(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not %s after %v", what, 2*patience)
		}
	}
}
