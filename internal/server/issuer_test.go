package server_test

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

const backendKey = `{"name":"backend","may":["tokens","exchange","introspect"],"scope":"read write","capability":{"*":["*"]},"audiences":["chat","other"]}`

// Tokens of the site's own open what those of others do: at the door, at the desk
// of tickets, at renewals; and they are taken back alike.
func TestOwnTokens(t *testing.T) {
	g, b := issuingGateway(t)
	backend := makeClient(t, g, backendKey)
	ann := exchange(t, g, backend, "ann")
	if ann.Type != "Bearer" || ann.Expires < 590 || ann.Session == "" {
		t.Errorf("got %+v, want a token of ten minutes with its session", ann)
	}
	c := long(mustDial(t, "ws://"+g.public+"/chat", ann.header()))
	echo(t, c, "by bearer")
	if !strings.Contains(b.got.String(), "X-User: ann") {
		t.Error("the upstream was not told who it is")
	}
	ticket := buy(t, g, "?route=/chat", ann.header())
	second := long(mustDial(t, "ws://"+g.public+"/chat?ticket="+ticket, nil))
	echo(t, second, "by ticket")
	if got := call(t, g.public, "POST", "sessions/renew", "", "Authorization", "Bearer "+ann.Access); got.status != 200 {
		t.Errorf("renewal: got %d %s, want 200", got.status, got.text)
	}
	if _, err := dial(t, "ws://"+g.public+"/other", ann.header()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a route of another audience: got %v, want 401", err)
	}
	service := ask(t, g, backend, 200, "grant_type", "client_credentials", "audience", "other", "scope", "read")
	echo(t, mustDial(t, "ws://"+g.public+"/other", service.header()), "a service")
	if got := call(t, g.admin, "POST", "revocations", `{"subject":"ann"}`); got.status != 200 {
		t.Fatalf("got %d %s", got.status, got.text)
	}
	if code, reason := closeOf(c); code != 4401 || !strings.HasPrefix(reason, "revoked ") {
		t.Errorf("got %d %s, want 4401 revoked", code, reason)
	}
	if code, _ := closeOf(second); code != 4401 {
		t.Errorf("by ticket: got %d, want 4401", code)
	}
	if got := ask(t, g, "", 400, "grant_type", "refresh_token", "refresh_token", ann.Refresh, "client_id", backend[:12]); got.Error != "invalid_grant" {
		t.Errorf("a refresh token of who was revoked: got %s, want invalid_grant", got.Error)
	}
}

// A page that refreshes its token renews its sockets; the second use of an old one
// ends them.
func TestRefreshRenewsAndReuseEnds(t *testing.T) {
	g, _ := issuingGateway(t)
	backend := makeClient(t, g, backendKey)
	ofPage := http.Header{"Origin": {page}}
	short := ask(t, g, backend, 200, "grant_type", exchanging, "subject_token", "ann", "subject_token_type", "urn:usher:token-type:subject",
		"requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token", "expires_in", "60")
	c := long(mustDial(t, "ws://"+g.public+"/chat", short.header()))
	expires := func() time.Time {
		t.Helper()
		var list struct{ Connections []struct{ Expires time.Time } }
		call(t, g.admin, "GET", "connections?subject=ann", "").into(t, 200, &list)
		if len(list.Connections) != 1 {
			t.Fatalf("got %d connections, want 1", len(list.Connections))
		}
		return list.Connections[0].Expires
	}
	before := expires()
	time.Sleep(1100 * time.Millisecond) // Tokens have whole seconds.
	var next grant
	got := form(t, g, "/oauth/token", "", ofPage, "grant_type", "refresh_token", "refresh_token", short.Refresh, "client_id", backend[:12])
	got.into(t, 200, &next)
	if got.header.Get("Access-Control-Allow-Origin") != page || next.Refresh == short.Refresh || next.Session != short.Session {
		t.Errorf("got session %s and the origin %q, want the same session for the page", next.Session, got.header.Get("Access-Control-Allow-Origin"))
	}
	if after := expires(); !after.After(before) {
		t.Errorf("the socket ends at %v, want later than %v", after, before)
	}
	echo(t, c, "not interrupted")
	// A second tab at once gets the same successor.
	again := ask(t, g, "", 200, "grant_type", "refresh_token", "refresh_token", short.Refresh, "client_id", backend[:12])
	if again.Refresh != next.Refresh {
		t.Error("two tabs got two successors")
	}
	last := ask(t, g, "", 200, "grant_type", "refresh_token", "refresh_token", next.Refresh, "client_id", backend[:12])
	if got := ask(t, g, "", 400, "grant_type", "refresh_token", "refresh_token", short.Refresh, "client_id", backend[:12]); got.Error != "invalid_grant" {
		t.Errorf("an old one: got %s, want invalid_grant", got.Error)
	}
	if code, reason := closeOf(c); code != 4401 || !strings.HasPrefix(reason, "revoked ") {
		t.Errorf("got %d %s, want 4401 revoked", code, reason)
	}
	if got := ask(t, g, "", 400, "grant_type", "refresh_token", "refresh_token", last.Refresh, "client_id", backend[:12]); got.Error != "invalid_grant" {
		t.Errorf("the owner's after that: got %s, want invalid_grant", got.Error)
	}
	_, metrics := do(t, "GET", "http://"+g.admin+"/metrics", nil, "")
	for _, line := range []string{
		`usher_token_requests_total{endpoint="token",grant="refresh_token",result="ok"} 3`,
		`usher_token_requests_total{endpoint="token",grant="refresh_token",result="invalid_grant"} 2`,
		`usher_token_requests_total{endpoint="token",grant="token_exchange",result="ok"} 1`,
		"usher_refresh_reuse_total 1",
	} {
		if !strings.Contains(metrics, line) {
			t.Errorf("the metrics have no %s", line)
		}
	}
}

// Nothing that the site makes is good anywhere but at home.
func TestOwnTokensConfused(t *testing.T) {
	g, b := issuingGateway(t)
	backend := makeClient(t, g, backendKey)
	ann := exchange(t, g, backend, "ann")
	mustDial(t, "ws://"+g.public+"/chat", ann.header()).Close()
	_, identity, _ := strings.Cut(b.got.String(), "X-Usher-Identity: ")
	identity, _, _ = strings.Cut(identity, "\r\n")
	_, secret, _ := strings.Cut(backend, ":")
	for name, text := range map[string]string{
		"a refresh token": ann.Refresh, "the JWT of upstreams": identity, "a client's secret": secret, "a ticket": buy(t, g, "?route=/chat", ann.header()),
	} {
		if text == "" {
			t.Fatalf("%s: there is none", name)
		}
		if _, err := dial(t, "ws://"+g.public+"/chat", http.Header{"Authorization": {"Bearer " + text}}); err == nil || !strings.Contains(err.Error(), "401") {
			t.Errorf("%s as access token: got %v, want 401", name, err)
		}
		if got := ask(t, g, "", 400, "grant_type", "refresh_token", "refresh_token", text+"x", "client_id", backend[:12]); got.Error != "invalid_grant" {
			t.Errorf("%s with a letter more as refresh token: got %s", name, got.Error)
		}
	}
	for name, text := range map[string]string{"an access token": ann.Access, "the JWT of upstreams": identity} {
		if got := ask(t, g, "", 400, "grant_type", "refresh_token", "refresh_token", text, "client_id", backend[:12]); got.Error != "invalid_grant" {
			t.Errorf("%s as refresh token: got %s, want invalid_grant", name, got.Error)
		}
		if got := call(t, g.public, "GET", "connections", "", "Authorization", "Bearer "+text); got.status != 401 {
			t.Errorf("%s as API key: got %d, want 401", name, got.status)
		}
		var state struct{ Active bool }
		form(t, g, "/oauth/introspect", backend, nil, "token", text).into(t, 200, &state)
		if state.Active != (name == "an access token") {
			t.Errorf("introspection of %s: got %t", name, state.Active)
		}
	}
	if got := ask(t, g, backend, 400, "grant_type", exchanging, "subject_token", ann.Access, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"); got.Error == "" {
		t.Error("a token of ours exchanged as one of the others': want an error")
	}
	other := ask(t, g, backend, 200, "grant_type", exchanging, "subject_token", token(t, secret1, nil), "subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
	echo(t, mustDial(t, "ws://"+g.public+"/chat", other.header()), "a token of another issuer was exchanged")
}

// secret1 is that of the verifier local.
const secret1 = secret

// The keys of tokens and that of the JWT for upstreams are in one set, on both
// listeners, and rotate by hand.
func TestOwnKeys(t *testing.T) {
	g, _ := issuingGateway(t)
	backend := makeClient(t, g, backendKey)
	before := keysOf(t, g.public)
	if len(before) != 2 || !slices.Equal(before, keysOf(t, g.admin)) {
		t.Fatalf("got %v and %v, want both keys on both listeners", before, keysOf(t, g.admin))
	}
	ann := exchange(t, g, backend, "ann")
	var made struct{ ID, State string }
	call(t, g.admin, "POST", "signing-keys", `{"after":0}`).into(t, 200, &made)
	if after := keysOf(t, g.public); len(after) != 3 || after[0] != made.ID {
		t.Errorf("got %v, want the new key first", after)
	}
	next := exchange(t, g, backend, "ann")
	for _, one := range []grant{ann, next} {
		mustDial(t, "ws://"+g.public+"/chat", one.header()).Close()
	}
	var list struct {
		Keys []struct{ ID, State string } `json:"signing_keys"`
	}
	call(t, g.admin, "GET", "signing-keys", "").into(t, 200, &list)
	if len(list.Keys) != 2 || list.Keys[0].ID != made.ID || list.Keys[0].State != "signing" || list.Keys[1].State != "old" {
		t.Fatalf("got %+v, want the new one to sign", list.Keys)
	}
	if got := call(t, g.admin, "DELETE", "signing-keys/"+list.Keys[1].ID, ""); got.status != 204 {
		t.Errorf("got %d %s, want 204", got.status, got.text)
	}
	if _, err := dial(t, "ws://"+g.public+"/chat", ann.header()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("a token of the removed key: got %v, want 401", err)
	}
	mustDial(t, "ws://"+g.public+"/chat", next.header()).Close()
	for name, tt := range map[string]struct {
		method, path, body string
		status             int
	}{
		"no such key":   {"DELETE", "signing-keys/" + list.Keys[1].ID, "", 404},
		"with a body":   {"DELETE", "signing-keys/x", "{}", 400},
		"for ages":      {"POST", "signing-keys", `{"after":3601}`, 400},
		"unknown":       {"POST", "signing-keys", `{"before":1}`, 400},
		"by PUT":        {"PUT", "signing-keys", `{}`, 405},
		"with a query":  {"GET", "signing-keys?x=1", "", 400},
		"one in a path": {"GET", "signing-keys/x", "", 405},
	} {
		if got := call(t, g.admin, tt.method, tt.path, tt.body); got.status != tt.status {
			t.Errorf("%s: got %d %s, want %d", name, got.status, got.text, tt.status)
		}
	}
	if got := call(t, g.public, "GET", "signing-keys", "", bearerOf(makeKey(t, g, "keys"))...); got.status != 403 {
		t.Errorf("with a key that may not: got %d, want 403", got.status)
	}
	if got := call(t, g.public, "GET", "signing-keys", "", bearerOf(makeKey(t, g, "signing"))...); got.status != 200 {
		t.Errorf("with a key that may: got %d, want 200", got.status)
	}
	bare := allCarriers(t, newBackend(t))
	if got := call(t, bare.admin, "GET", "signing-keys", ""); got.status != 404 {
		t.Errorf("without an issuer: got %d, want 404", got.status)
	}
	for _, path := range []string{"/oauth/token", "/.well-known/oauth-authorization-server"} {
		if res, _ := do(t, "GET", "http://"+bare.public+path, nil, ""); res.StatusCode != http.StatusNotFound {
			t.Errorf("%s without an issuer: got %d, want 404", path, res.StatusCode)
		}
	}
}

// An issuer comes and goes with a reload.
func TestIssuerReload(t *testing.T) {
	b := newBackend(t)
	routes := strings.ReplaceAll(`routes: [{path: /chat, upstream: "UP", carriers: [bearer: {verify: [VERIFIERS]}]}]`+"\n", "UP", b.ws())
	without := front + strings.ReplaceAll(routes, "VERIFIERS", "local")
	with := strings.Replace(front, "verifiers:", "issuer: {name: \"http://localhost:8080\", max_access_token: LIFE}\nverifiers:\n  own: {issuer: {}}", 1) +
		strings.ReplaceAll(routes, "VERIFIERS", "own, local")
	g := start(t, without)
	load := func(text string) {
		t.Helper()
		if err := os.WriteFile(g.file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := g.Reload(); err != nil {
			t.Fatal(err)
		}
	}
	load(strings.Replace(with, "LIFE", "1h", 1))
	client := makeClient(t, g, `{"may":["tokens"]}`)
	token := ask(t, g, client, 200, "grant_type", "client_credentials")
	live := long(mustDial(t, "ws://"+g.public+"/chat", token.header()))
	if got := ask(t, g, client, 400, "grant_type", "client_credentials", "expires_in", "7200"); got.Error != "invalid_request" {
		t.Errorf("two hours: got %s, want invalid_request", got.Error)
	}
	load(strings.Replace(with, "LIFE", "2h", 1))
	if got := ask(t, g, client, 200, "grant_type", "client_credentials", "expires_in", "7200"); got.Expires != 7200 {
		t.Errorf("two hours after a reload: got %d s", got.Expires)
	}
	load(without)
	echo(t, live, "who was admitted stays")
	if _, err := dial(t, "ws://"+g.public+"/chat", token.header()); err == nil || !strings.Contains(err.Error(), "401") {
		t.Errorf("without an issuer: got %v, want 401", err)
	}
	if res, _ := do(t, "POST", "http://"+g.public+"/oauth/token", nil, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("without an issuer: got %d, want 404", res.StatusCode)
	}
}

// Wrong secrets are slowed down at the token endpoint by what slows down wrong API
// keys, and a good one comes through.
func TestGuessedClients(t *testing.T) {
	g, _ := issuingGateway(t)
	good := makeClient(t, g, backendKey)
	id, _, _ := strings.Cut(good, ":")
	told, slowed := 0, 0
	for n := range 200 {
		var got apiAnswer
		if n%2 == 0 {
			got = form(t, g, "/oauth/token", id+":"+strings.Repeat("A", 26), nil, "grant_type", "client_credentials")
		} else {
			got = call(t, g.public, "GET", "connections", "", "Authorization", "Bearer usher_"+id+"_"+strings.Repeat("B", 26))
		}
		switch {
		case got.status == 401:
			told++
		case got.status == 429 && got.header.Get("Retry-After") != "":
			slowed++
		default:
			t.Fatalf("got %d %s", got.status, got.text)
		}
	}
	if told < 60 || slowed < 60 {
		t.Errorf("got %d told so and %d slowed down, want some of both", told, slowed)
	}
	ask(t, g, good, 200, "grant_type", "client_credentials", "audience", "chat")
}
