package server_test

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/config"
)

// The page for operators names every metric of ours, and none that is not.
func TestDocumentedMetrics(t *testing.T) {
	page, err := os.ReadFile("../../docs/reference/operation.md")
	if err != nil {
		t.Fatal(err)
	}
	g := allCarriers(t, newBackend(t))
	c := mustDial(t, "ws://"+g.public+"/chat", bearer(t))
	do(t, http.MethodPost, "http://"+g.public+"/usher/v1/sessions/renew", bearer(t), "")
	do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/explain/none", nil, "")
	c.Close()
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	g.logs.await(t, "msg=ended")
	h := start(t, hubbed)
	do(t, http.MethodGet, "http://"+h.public+"/channels", nil, "")
	_, body := do(t, http.MethodGet, "http://"+g.admin+"/metrics", nil, "")
	_, ofHub := do(t, http.MethodGet, "http://"+h.admin+"/metrics", nil, "")
	body += ofHub
	shown := regexp.MustCompile(`(?m)^# TYPE (usher_\w+)`).FindAllStringSubmatch(body, -1)
	if len(shown) < 5 {
		t.Fatalf("got %v, want all metrics", shown)
	}
	for _, m := range shown {
		if !strings.Contains(string(page), "| `"+m[1]+"` |") {
			t.Errorf("the page has no %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile("(?m)^\\| `(usher_\\w+)` \\|").FindAllStringSubmatch(string(page), -1) {
		// A tunnel's bytes are counted a moment after the connection has ended.
		if m[1] != "usher_bytes_total" && !strings.Contains(body, "# TYPE "+m[1]+" ") {
			t.Errorf("the page has %s, which there is not", m[1])
		}
	}
}

// The configurations of the guide are good.
func TestDocumentedConfiguration(t *testing.T) {
	for _, name := range []string{"gateway.md", "hub.md", "login.md", "tokens.md", "own-sessions.md"} {
		blocks := documented(t, name, "yaml")
		if len(blocks) == 0 {
			t.Fatalf("%s: got no configuration, want some", name)
		}
		for _, block := range blocks {
			dir := t.TempDir()
			for _, file := range []string{"secret", "engine.key", "client-secret", "server.key", "pages.key"} {
				write(t, dir, file, secret)
			}
			if _, err := config.Load(write(t, dir, "usher.yaml", block), nil); err != nil {
				t.Errorf("%s: %v\n%s", name, err, block)
			}
		}
	}
}

// documented returns the blocks of a language in a page of the guide.
func documented(t *testing.T, name, language string) []string {
	t.Helper()
	page, err := os.ReadFile("../../docs/guide/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?s)```"+language+"\n(.*?)```").FindAllStringSubmatch(string(page), -1) {
		blocks = append(blocks, m[1])
	}
	return blocks
}
