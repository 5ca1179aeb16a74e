package server_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// named is a gateway that is its issuer's name, for clients that find the issuer by
// that.
func named(t *testing.T, algorithm string) (g *gateway, issuer string) {
	t.Helper()
	addr := freeAddress(t)
	text := strings.Replace(issuing, "listen: 127.0.0.1:0", "listen: "+addr, 1)
	text = strings.Replace(text, `name: "http://localhost:8080"`, `name: "http://`+addr+`", algorithm: `+algorithm, 1)
	return start(t, text+fmt.Sprintf("routes: [{path: /chat, upstream: %q, carriers: [bearer: {verify: [own]}]}]\n", newBackend(t).ws())), "http://" + addr
}

// The OAuth client of Go's own project gets tokens, and new ones by itself.
func TestXOAuth2(t *testing.T) {
	g, issuer := named(t, "ES256")
	id, secret, _ := strings.Cut(makeClient(t, g, backendKey), ":")
	for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams, oauth2.AuthStyleAutoDetect} {
		c := clientcredentials.Config{ClientID: id, ClientSecret: secret, TokenURL: issuer + "/oauth/token", Scopes: []string{"read"}, AuthStyle: style}
		token, err := c.Token(t.Context())
		if err != nil || token.Type() != "Bearer" || time.Until(token.Expiry) < 9*time.Minute {
			t.Fatalf("style %d: got %v, want a token of ten minutes", style, err)
		}
		mustDial(t, "ws://"+g.public+"/chat", http.Header{"Authorization": {"Bearer " + token.AccessToken}}).Close()
	}
	ann := exchange(t, g, id+":"+secret, "ann")
	c := oauth2.Config{ClientID: id, Endpoint: oauth2.Endpoint{TokenURL: issuer + "/oauth/token", AuthStyle: oauth2.AuthStyleInParams}}
	source := c.TokenSource(t.Context(), &oauth2.Token{AccessToken: ann.Access, RefreshToken: ann.Refresh, Expiry: time.Now().Add(-time.Second)})
	next, err := source.Token()
	if err != nil || next.RefreshToken == ann.Refresh || next.AccessToken == ann.Access {
		t.Fatalf("refresh: got %v, want new tokens", err)
	}
	mustDial(t, "ws://"+g.public+"/chat", http.Header{"Authorization": {"Bearer " + next.AccessToken}}).Close()
	wrong := clientcredentials.Config{ClientID: id, ClientSecret: "wrong", TokenURL: issuer + "/oauth/token"}
	if _, err := wrong.Token(t.Context()); err == nil || !strings.Contains(err.Error(), "invalid_client") {
		t.Errorf("a wrong secret: got %v, want invalid_client", err)
	}
}

// openid-client and jose, from npm and as they are, get our tokens and check them.
func TestOpenIDClient(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	for _, algorithm := range []string{"ES256", "EdDSA"} {
		t.Run(algorithm, func(t *testing.T) {
			g, issuer := named(t, algorithm)
			id, secret, _ := strings.Cut(makeClient(t, g, strings.Replace(backendKey, `,"audiences":["chat","other"]`, "", 1)), ":")
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, "node", "tokens.mjs", issuer, id, secret, "chat")
			cmd.Dir = "../../test/interop"
			if out, err := cmd.CombinedOutput(); err != nil || string(out) != "ok\n" {
				t.Errorf("got %v:\n%s", err, out)
			}
		})
	}
}

// The example's backend gets tokens with the guide's configuration, which open the
// route, and which a page refreshes.
func TestTokenBackend(t *testing.T) {
	if testing.Short() {
		t.Skip("starts Node.js")
	}
	dir, addr := t.TempDir(), freeAddress(t)
	g := startIn(t, dir, "admin: 127.0.0.1:0\nengine: {memory: true}\ndrain: 100ms\n"+strings.NewReplacer(
		"listen: 127.0.0.1:8080", "listen: "+addr, "http://localhost:8080 ", "http://"+addr+" ", "ws://127.0.0.1:9000/chat", newBackend(t).ws(),
	).Replace(documented(t, "tokens.md", "yaml")[0]))
	var k madeKey
	call(t, g.admin, http.MethodPost, "keys", `{"may":["exchange"],"scope":"chat"}`).into(t, http.StatusCreated, &k)
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "node", "../../examples/token-backend/server.mjs")
	cmd.Env = append(cmd.Environ(), "PORT=0", "USHER=http://"+addr, "USHER_KEY_FILE="+write(t, dir, "backend.key", k.Text+"\n"))
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	backend := strings.TrimSpace(strings.TrimPrefix(line, "backend at "))
	if res, _ := do(t, http.MethodPost, backend+"/token", nil, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("nobody: got %d, want 401", res.StatusCode)
	}
	res, text := do(t, http.MethodPost, backend+"/token", http.Header{"X-Demo-User": {"ann"}}, "")
	var ann struct {
		grant
		Client string `json:"client_id"`
	}
	if err := json.Unmarshal([]byte(text), &ann); err != nil || res.StatusCode != http.StatusOK || ann.Client != k.ID {
		t.Fatalf("got %d %s, want tokens", res.StatusCode, text)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat", ann.header()), "by the backend's token")
	next := ask(t, g, "", http.StatusOK, "grant_type", "refresh_token", "refresh_token", ann.Refresh, "client_id", ann.Client)
	echo(t, mustDial(t, "ws://"+g.public+"/chat", next.header()), "by the page's own")
}
