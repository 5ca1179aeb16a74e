package server_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

func oneRoute(b *backend, path string) string {
	return front + fmt.Sprintf("routes: [{path: %s, upstream: %q, limits: {pending_per_address: 1000}, carriers: [bearer: {verify: [local]}]}]\n", path, b.ws())
}

// crowd opens n connections.
func crowd(t *testing.T, url string, n int) []*websocket.Conn {
	t.Helper()
	h := bearer(t)
	list := make([]*websocket.Conn, n)
	for i := range list {
		list[i] = mustDial(t, url, h)
		list[i].SetReadDeadline(time.Now().Add(6 * patience))
	}
	return list
}

// TestReloadUnderTraffic: connections go on while the configuration is loaded
// again and again, and then they can still be told to go.
func TestReloadUnderTraffic(t *testing.T) {
	b := newBackend(t)
	g := start(t, oneRoute(b, "/chat"))
	many := 2000
	if testing.Short() {
		many = 200
	}
	conns := crowd(t, "ws://"+g.public+"/chat", many)
	var echoed atomic.Int64
	var failed atomic.Pointer[error]
	stop := make(chan struct{})
	var talking sync.WaitGroup
	for i, c := range conns {
		talking.Go(func() {
			for n := 0; ; n++ {
				text := fmt.Sprintf("%d of %d", n, i)
				err := c.WriteMessage(websocket.TextMessage, []byte(text))
				var got []byte
				if err == nil {
					_, got, err = c.ReadMessage()
				}
				if err == nil && string(got) != text {
					err = fmt.Errorf("got %q, want %q", got, text)
				}
				if err != nil {
					failed.Store(&err)
					return
				}
				echoed.Add(1)
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 5 {
		before := echoed.Load()
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
		for echoed.Load() < before+int64(2*many) && failed.Load() == nil {
			time.Sleep(time.Millisecond)
		}
	}
	close(stop)
	talking.Wait()
	if err := failed.Load(); err != nil {
		t.Fatalf("a connection broke: %v", *err)
	}
	if n := b.requests(); n != len(conns) {
		t.Errorf("got %d handshakes at the backend, want %d", n, len(conns))
	}
	told := make(chan int, len(conns))
	for _, c := range conns {
		go func() {
			c.SetReadDeadline(time.Now().Add(6 * patience))
			code, _ := closeOf(c)
			told <- code
		}()
	}
	g.stop()
	for range conns {
		if code := <-told; code != websocket.CloseGoingAway {
			t.Fatalf("got code %d from the drain, want 1001", code)
		}
	}
}

// What a reload changes counts for who comes after it.
func TestReloadChanges(t *testing.T) {
	b, other := newBackend(t), newBackend(t)
	dir := t.TempDir()
	g := startIn(t, dir, oneRoute(b, "/chat"))
	old := mustDial(t, "ws://"+g.public+"/chat", bearer(t))
	changed := strings.Repeat("n", 40)
	write(t, dir, "secret", changed)
	write(t, dir, "usher.yaml", oneRoute(other, "/talk"))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if _, err := dial(t, "ws://"+g.public+"/chat", bearer(t)); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("got %v at a route that is gone, want 404", err)
	}
	if _, err := dial(t, "ws://"+g.public+"/talk", bearer(t)); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("got %v with the secret that is gone, want 401", err)
	}
	h := http.Header{"Authorization": {"Bearer " + token(t, changed, nil)}}
	echo(t, mustDial(t, "ws://"+g.public+"/talk", h), "new")
	if other.requests() != 1 {
		t.Errorf("got %d requests at the new backend, want 1", other.requests())
	}
	echo(t, old, "still here")
}

// A configuration that is not good changes nothing, and the log says where.
func TestBadReload(t *testing.T) {
	b := newBackend(t)
	dir := t.TempDir()
	g := startIn(t, dir, oneRoute(b, "/chat"))
	old := mustDial(t, "ws://"+g.public+"/chat", bearer(t))
	for _, tt := range []struct{ name, text, want string }{
		{"unknown key", oneRoute(b, "/chat") + "routs: []\n", "usher.yaml:9:1"},
		{"no yaml", "listen: [", "usher.yaml:1:"},
		{"unknown verifier", strings.Replace(oneRoute(b, "/chat"), "verify: [local]", "verify: [lokal]", 1), "did you mean"},
		{"file that is gone", strings.Replace(oneRoute(b, "/chat"), "secret_file: secret", "secret_file: gone", 1), "no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			write(t, dir, "usher.yaml", tt.text)
			if err := g.Reload(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			g.logs.await(t, "the last one stays in force")
			g.logs.await(t, tt.want)
			echo(t, old, "still here")
			echo(t, mustDial(t, "ws://"+g.public+"/chat", bearer(t)), "still open")
		})
	}
}

// What cannot change while the process runs is said, and the rest changes.
func TestReloadOfFixed(t *testing.T) {
	b := newBackend(t)
	dir := t.TempDir()
	g := startIn(t, dir, oneRoute(b, "/chat"))
	text := strings.Replace(oneRoute(b, "/talk"), "listen: 127.0.0.1:0", "listen: 127.0.0.1:1", 1)
	text = strings.Replace(text, "engine: {memory: true}", "engine: {data: elsewhere}\nsessions: {keep_revocations: 2h}", 1)
	write(t, dir, "usher.yaml", strings.Replace(text, "level: debug", "level: debug, format: json", 1))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	g.logs.await(t, "stays as it was until a restart\" key=listen")
	g.logs.await(t, "stays as it was until a restart\" key=log.format")
	g.logs.await(t, "stays as it was until a restart\" key=engine")
	g.logs.await(t, "stays as it was until a restart\" key=sessions.keep_revocations")
	if _, err := os.Stat(filepath.Join(dir, "elsewhere")); err == nil {
		t.Error("an engine was made that is not used")
	}
	echo(t, mustDial(t, "ws://"+g.public+"/talk", bearer(t)), "at the old address")
}

// Who is taken out of a file of passwords is out after a reload, and who is put
// in is in. A file that is broken is a configuration that is not good.
func TestReloadOfPasswords(t *testing.T) {
	g := allCarriers(t, newBackend(t))
	file := filepath.Join(filepath.Dir(g.file), "users")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	_, hash, _ := strings.Cut(string(text), ":")
	get := func(user string) int {
		res, _ := do(t, http.MethodGet, "http://"+g.public+"/devices", basic(user, "correct horse"), "")
		return res.StatusCode
	}
	for _, tt := range []struct {
		name, text string
		reloads    bool
		alice, bob int
	}{
		{"as it is", "alice:" + hash, true, 200, 401},
		{"another", "bob:" + hash, true, 401, 200},
		{"broken", "alice:" + hash + "nonsense\n", false, 401, 200},
		{"both", "alice:" + hash + "bob:" + hash, true, 200, 200},
	} {
		write(t, filepath.Dir(g.file), "users", tt.text)
		if err := g.Reload(); (err == nil) != tt.reloads {
			t.Errorf("%s: got %v from the reload", tt.name, err)
		}
		if alice, bob := get("alice"), get("bob"); alice != tt.alice || bob != tt.bob {
			t.Errorf("%s: got %d for alice and %d for bob, want %d and %d", tt.name, alice, bob, tt.alice, tt.bob)
		}
	}
}

// Keys that are at hand are not fetched again, and those of a new set are there
// when the reload is over.
func TestReloadOfKeys(t *testing.T) {
	var first, second atomic.Int64
	serve := func(n *atomic.Int64) string {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			n.Add(1)
			w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
		}))
		t.Cleanup(s.Close)
		return s.URL
	}
	b := newBackend(t)
	text := func(url string) string {
		return front + "  login: {jwt: {issuer: login, audience: chat, jwks: " + url + "}}\n" +
			fmt.Sprintf("routes: [{path: /chat, upstream: %q, carriers: [bearer: {verify: [login]}]}]\n", b.ws())
	}
	one, two := serve(&first), serve(&second)
	g := start(t, text(one))
	for range 3 {
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	if n := first.Load(); n != 1 {
		t.Errorf("got %d fetches of one set over three reloads, want 1", n)
	}
	write(t, filepath.Dir(g.file), "usher.yaml", text(two))
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	if n := second.Load(); n != 1 {
		t.Errorf("got %d fetches of the new set when the reload is over, want 1", n)
	}
}
