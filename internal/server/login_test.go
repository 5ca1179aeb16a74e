package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/login"
)

// openID is the least of an OpenID provider: its configuration, and a token
// endpoint that signs in with the server's secret, which no login takes.
func openID(t testing.TB) (issuer string, asked *atomic.Int64) {
	asked = new(atomic.Int64)
	mux := http.NewServeMux()
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		json.NewEncoder(w).Encode(map[string]string{
			"issuer": s.URL, "authorization_endpoint": s.URL + "/auth", "token_endpoint": s.URL + "/token", "jwks_uri": s.URL + "/jwks",
		})
	})
	mux.HandleFunc("/jwks", func(w http.ResponseWriter, _ *http.Request) {
		w.Write([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}`))
	})
	mux.HandleFunc("/token", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(map[string]any{
			"access_token": "access-canary", "token_type": "Bearer", "expires_in": 60,
			"id_token": token(t, secret, map[string]any{"iss": s.URL, "aud": "usher", "exp": time.Now().Unix() + 60}),
		})
	})
	return s.URL, asked
}

// The login stands beside the routes, outlives a reload, and lets nobody in by
// what is not its own. Who gets in is shown at a real provider.
func TestLogin(t *testing.T) {
	b := newBackend(t)
	issuer, asked := openID(t)
	dir := t.TempDir()
	write(t, dir, "client", "s3cret-canary")
	text := strings.Replace(front, "verifiers:", fmt.Sprintf("login: {issuer: %q, client_id: usher, client_secret_file: client, url: \"http://localhost:8080\", scopes: [email]}\nverifiers:\n  people: {login: true}", issuer), 1) +
		fmt.Sprintf("routes: [{path: /chat, upstream: %q, origins: [%q], carriers: [cookie: {name: session, verify: [people]}, ticket: {cookie: session, verify: [people]}]}, {path: /, upstream: %[1]q, carriers: [bearer: {verify: [local]}]}]\n", b.ws(), page)
	g := startIn(t, dir, text)
	begin := func() (state, cookie string) {
		t.Helper()
		res, body := do(t, http.MethodGet, "http://"+g.public+login.LoginPath+"?return=/x", nil, "")
		u, err := url.Parse(res.Header.Get("Location"))
		if res.StatusCode != http.StatusSeeOther || err != nil || !strings.HasPrefix(u.String(), issuer+"/auth?") {
			t.Fatalf("got %d to %v, %s", res.StatusCode, u, body)
		}
		if got := u.Query().Get("redirect_uri"); got != "http://localhost:8080/auth/callback" {
			t.Errorf("got redirect_uri %q", got)
		}
		return u.Query().Get("state"), strings.Split(res.Header.Get("Set-Cookie"), ";")[0]
	}
	state, kept := begin()
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	begin()
	if n := asked.Load(); n != 1 {
		t.Errorf("the provider was asked %d times, want once: a reload forgets nothing", n)
	}
	// The answer to a login that began before the reload is taken, and refused
	// for its ID token alone.
	res, body := do(t, http.MethodGet, "http://"+g.public+login.CallbackPath+"?code=x&state="+state, http.Header{"Cookie": {kept}}, "")
	if res.StatusCode != http.StatusForbidden || !strings.Contains(body, "refused") {
		t.Errorf("got %d %s, want 403", res.StatusCode, body)
	}
	g.logs.await(t, "id token")
	for _, canary := range []string{"s3cret-canary", "access-canary", state} {
		if strings.Contains(g.logs.String(), canary) {
			t.Errorf("%q is in the log", canary)
		}
	}
	h := http.Header{"Cookie": {"session=" + strings.Repeat("A", 26)}, "Origin": {page}}
	if code, reason := closeOf(mustDial(t, "ws://"+g.public+"/chat", h)); code != 4401 {
		t.Errorf("a made-up cookie: got %d %s, want 4401", code, reason)
	}
	for path, want := range map[string]int{
		login.BackChannelPath: http.StatusBadRequest, login.LogoutPath: http.StatusForbidden, login.LoginPath: http.StatusMethodNotAllowed,
		"/auth/other": http.StatusUnauthorized, // A route's.
	} {
		if res, body := do(t, http.MethodPost, "http://"+g.public+path, nil, ""); res.StatusCode != want {
			t.Errorf("POST %s: got %d %s, want %d", path, res.StatusCode, body, want)
		}
	}
	// Without it, they are nobody's.
	plain := start(t, front)
	if res, _ := do(t, http.MethodGet, "http://"+plain.public+login.LoginPath, nil, ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("without a login: got %d, want 404", res.StatusCode)
	}
}

// What the login refuses can be explained, as all other refusals can: by whom it
// was, behind a proxy too.
func TestLoginExplains(t *testing.T) {
	issuer, _ := openID(t)
	g := start(t, front+fmt.Sprintf("trusted_proxies: [127.0.0.1]\nlogin: {issuer: %q, client_id: usher, url: \"http://localhost:8080\"}\n", issuer))
	for _, tt := range []struct{ method, path, body, reason string }{
		{"GET", login.LoginPath + "?return=//evil.example", "", "bad_request: the parameter return"},
		{"GET", login.CallbackPath + "?state=x&code=y", "", "bad_request: "},
		{"POST", login.LogoutPath, "", "forbidden: a logout comes from a page of this site"},
		{"POST", login.BackChannelPath, "logout_token=x", "bad_request: "},
	} {
		path, _, _ := strings.Cut(tt.path, "?")
		h := http.Header{"X-Forwarded-For": {"192.0.2.7"}, "Content-Type": {"application/x-www-form-urlencoded"}}
		res, body := do(t, tt.method, "http://"+g.public+tt.path, h, tt.body)
		var told struct {
			ID string `json:"explain_id"`
		}
		if err := json.Unmarshal([]byte(body), &told); err != nil || told.ID == "" {
			t.Errorf("%s: got %d %s, want an explain id", path, res.StatusCode, body)
			continue
		}
		var why struct {
			Route, Client, Reason, Verdict string
			Status                         int
		}
		call(t, g.admin, "GET", "explain/"+told.ID, "").into(t, http.StatusOK, &why)
		if why.Route != path || why.Client != "192.0.2.7/32" || !strings.HasPrefix(why.Reason, tt.reason) || why.Status != res.StatusCode || why.Verdict != "refused" {
			t.Errorf("%s: got %+v", path, why)
		}
	}
}
