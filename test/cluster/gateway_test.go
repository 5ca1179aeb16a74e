package cluster_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher/ushertest"
)

// A gateway is one "usher serve".
type gateway struct {
	t             *testing.T
	public, admin string // host:port
	process       *process
}

var addressIn = regexp.MustCompile(`address=(\S+)`)

// startGateway starts a gateway on the engine at nats, in front of b.
func startGateway(t *testing.T, name, nats string, login *ushertest.Issuer, b backend) *gateway {
	t.Helper()
	return serve(t, name, fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
engine: {nats: %q, replicas: 3, key: {file: key}}
drain: 0s
issuer: {name: "http://localhost:8080", audience: chat}
verifiers:
  own: {issuer: {}}
  login: {jwt: {issuer: %q, audience: %q, jwks: %q}}
routes:
  - path: /chat
    upstream: ws://%s/chat
    origins: ["https://app.example.com"]
    carriers:
      - {ticket: {}}
      - {bearer: {verify: [login, own]}}
`, nats, login.URL, login.Audience, login.JWKSURL(), b.address))
}

// serve starts a gateway with a configuration, beside which there is a file with
// a key.
func serve(t *testing.T, name, text string) *gateway {
	t.Helper()
	dir := t.TempDir()
	file := filepath.Join(dir, "usher.yaml")
	for name, text := range map[string]string{file: text, filepath.Join(dir, "key"): strings.Repeat("k", 32)} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	p := start(t, name, exec.Command(gatewayBinary, "serve", "--config", file))
	return &gateway{
		t: t, process: p,
		public: addressIn.FindStringSubmatch(p.line("listener=public"))[1],
		admin:  addressIn.FindStringSubmatch(p.line("listener=admin"))[1],
	}
}

// post sends body as JSON and decodes the answer into to. It returns the status.
func (g *gateway) post(address, path, bearer string, body, to any) int {
	g.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		g.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+path, bytes.NewReader(text))
	if err != nil {
		g.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	if to != nil && res.StatusCode == http.StatusOK {
		if err := json.Unmarshal(answer, to); err != nil {
			g.t.Fatalf("%s: %v in %q", path, err, answer)
		}
	}
	return res.StatusCode
}

// revoke takes back what is named, on this node and thereby on all.
func (g *gateway) revoke(what map[string]any) (connections int) {
	g.t.Helper()
	var answer struct{ Connections int }
	if status := g.post(g.admin, "/usher/v1/revocations", "", what, &answer); status != http.StatusOK {
		g.t.Fatalf("revoke %v: got status %d, want 200", what, status)
	}
	return answer.Connections
}

// ticket fetches one from the desk.
func (g *gateway) ticket(token string) (ticket string, status int) {
	g.t.Helper()
	var answer struct{ Ticket string }
	status = g.post(g.public, "/usher/v1/tickets?route=/chat", token, map[string]any{}, &answer)
	return answer.Ticket, status
}

// ready asks whether the node says that it is.
func (g *gateway) ready() (status int, body string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, "http://"+g.admin+"/readyz", http.NoBody)
	if err != nil {
		g.t.Fatal(err)
	}
	res, err := httpClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// eventually waits until ok, for no longer than limit.
func eventually(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within %v", what, limit)
		}
	}
}
