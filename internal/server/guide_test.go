package server_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// The application of the guide on sessions of one's own, with its configuration,
// on other ports: in, out, and what its logout does to the socket.
func TestGuideOwnSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("builds a program")
	}
	dir := t.TempDir()
	ports := strings.NewReplacer(
		"127.0.0.1:8080", freeAddress(t), "127.0.0.1:8081", freeAddress(t), "127.0.0.1:9000", freeAddress(t))
	app := filepath.Join(dir, "app")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", app, write(t, dir, "app.go", ports.Replace(documented(t, "own-sessions.md", "go")[0])))
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	cmd := exec.CommandContext(t.Context(), app)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	g := startIn(t, dir, "engine: {memory: true}\n"+ports.Replace(documented(t, "own-sessions.md", "yaml")[0]))
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	browser := &http.Client{Jar: jar, Transport: client.Transport, Timeout: patience}
	site := ports.Replace("http://127.0.0.1:9000")
	post := func(path, body string) (int, string) {
		t.Helper()
		for until := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // It is on its way up.
			res, err := browser.Post(site+path, "application/x-www-form-urlencoded", strings.NewReader(body))
			if err == nil {
				text, _ := io.ReadAll(res.Body)
				res.Body.Close()
				return res.StatusCode, string(text)
			}
			if time.Now().After(until) {
				t.Fatal(err)
			}
		}
	}
	open := func() *websocket.Conn {
		t.Helper()
		d := websocket.Dialer{Jar: jar, HandshakeTimeout: patience}
		c, _, err := d.DialContext(t.Context(), "ws://"+g.public+"/chat", http.Header{"Origin": {"http://localhost:8080"}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		c.SetReadDeadline(time.Now().Add(patience))
		return c
	}
	if status, text := post("/login", url.Values{"user": {"ann"}}.Encode()); status != http.StatusOK || text != "welcome, ann\n" {
		t.Fatalf("got %d %q", status, text)
	}
	c := open()
	if err := c.WriteMessage(websocket.TextMessage, []byte("hello")); err != nil {
		t.Fatal(err)
	}
	if _, text, err := c.ReadMessage(); err != nil || string(text) != "ann: hello" {
		t.Fatalf("got %q, %v, want ann: hello", text, err)
	}
	post("/logout", "")
	if code, reason := closeOf(c); code != 4401 || !strings.HasPrefix(reason, "revoked") {
		t.Errorf("got %d %s, want 4401 revoked", code, reason)
	}
	if code, reason := closeOf(open()); code != 4401 {
		t.Errorf("after the logout: got %d %s, want 4401", code, reason)
	}
}

// freeAddress is an address of loopback that nobody listens at now.
func freeAddress(t *testing.T) string {
	t.Helper()
	return fmt.Sprintf("127.0.0.1:%d", enginetest.FreePorts(t, 1)[0])
}
