package config_test

import (
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-ws/usher/internal/config"
)

func verify(names ...string) *config.Verify { return &config.Verify{Verify: names} }

// limits are the defaults.
func limits() config.Limits {
	return config.Limits{
		Pending: 1000, PendingPerAddress: 20, FirstMessage: 10 * time.Second, Verify: 3 * time.Second,
		Ping: time.Minute, WhenFull: "refuse",
	}
}

// whole is what testdata/good/whole.txtar says.
func whole() *config.Config {
	jwt := func(issuer string) *config.JWT {
		return &config.JWT{Issuer: issuer, Audience: "chat", Leeway: 30 * time.Second}
	}
	login, local := jwt("https://login.example.com"), jwt("test")
	login.JWKS = "https://login.example.com/keys.json"
	local.HS256SecretFile = "secret"
	every := limits()
	every.Idle, every.Lifetime, every.Ping = time.Hour, 12*time.Hour, 0
	every.MaxConnections, every.WhenFull = 5, "replace"
	return &config.Config{
		Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081",
		Hosts:          []string{"localhost", "app.example.com"},
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128")},
		Engine:         config.Engine{Memory: true},
		Sessions:       config.Sessions{KeepRevocations: 30 * time.Minute},
		Verifiers: map[string]*config.Verifier{
			"login": {JWT: login}, "local": {JWT: local}, "users": {Htpasswd: "users"},
			"app": {Ask: &config.Ask{
				URL: "http://127.0.0.1:9000/whoami", Timeout: 2 * time.Second, MaxConcurrent: 64, Subject: "sub",
			}},
		},
		Routes: []*config.Route{{
			Path:           "/chat",
			Upstream:       config.Upstreams{{Network: "tcp", Address: "127.0.0.1:9000", Host: "127.0.0.1:9000", Path: "/chat"}},
			ConnectTimeout: 5 * time.Second,
			Origins:        []string{"https://app.example.com"},
			Subprotocols:   []string{"chat.v1"},
			Carriers: []*config.Carrier{
				{Ticket: &config.Ticket{Verify: []string{"login", "local"}, Cookie: "__Host-session", Param: "ticket"}},
				{Subprotocol: verify("login", "local")},
				{Cookie: &config.Cookie{Name: "__Host-session", Verify: []string{"app"}}},
				{Query: &config.Query{Param: "access_token", Verify: []string{"local"}}},
				{Bearer: verify("login", "local")},
				{FirstMessage: &config.FirstMessage{Verify: []string{"login", "local"}, Type: "auth", Token: "token"}},
			},
			Identity: config.Identity{Headers: map[config.HeaderName]string{"X-User": "sub"}, JWT: "X-Usher-Identity"},
			Limits:   limits(),
		}, {
			Path:           "/devices",
			Upstream:       config.Upstreams{{Network: "tcp", Address: "127.0.0.1:9000", Host: "127.0.0.1:9000", Path: "/devices"}},
			ConnectTimeout: 5 * time.Second,
			Carriers:       []*config.Carrier{{Basic: verify("users")}},
			Limits:         limits(),
		}, {
			Path:  "/rooms/{id}",
			Hosts: []string{"app.example.com"},
			Upstream: config.Upstreams{
				{TLS: true, Network: "tcp", Address: "chat.internal:443", Host: "chat.internal", Path: "/"},
				{Network: "unix", Address: "/run/app.sock", Host: "localhost", Path: "/rooms"},
				{Network: "unix", Address: "app.sock", Host: "localhost", Path: "/"},
			},
			ConnectTimeout: time.Second,
			UpstreamHeaders: map[config.HeaderName]*config.SecretSource{
				"X-Api-Key": {File: "secret"}, "Authorization": {Env: "USHER_BACKEND"},
			},
			AllowSetCookie: true,
			Require: config.Require{
				Scope: []string{"chat"}, Claims: map[string][]string{"tenant": {"acme", "globex"}},
			},
			Carriers: []*config.Carrier{
				{Ticket: &config.Ticket{Verify: []string{"local", "app"}, Param: "ticket"}},
				{Bearer: verify("local", "app")},
				{FirstMessage: &config.FirstMessage{Type: "login", Token: "jwt"}},
			},
			Limits: every,
		}},
		Log: config.Log{Level: "debug", Format: "json"},
	}
}

// equal compares configurations; addresses of networks are values.
var equal = cmp.Options{cmpopts.EquateComparable(netip.Prefix{}), cmpopts.EquateEmpty()}

func TestLoad(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/good/whole.txtar")
	if err != nil {
		t.Fatal(err)
	}
	path, environ := unpack(t, archive)
	got, err := config.Load(path, environ)
	if err != nil {
		t.Fatalf("got\n%v", err)
	}
	if diff := cmp.Diff(whole(), got, equal); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Nothing at all is a configuration: the defaults.
func TestDefaults(t *testing.T) {
	got, err := config.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := &config.Config{
		Listen: "127.0.0.1:8080", Admin: "127.0.0.1:8081",
		Engine: config.Engine{Data: "data"}, Sessions: config.Sessions{KeepRevocations: 24 * time.Hour},
		Log: config.Log{Level: "info", Format: "text"}, Drain: 5 * time.Second,
	}
	if diff := cmp.Diff(want, got, equal); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Relative names are those of the file's directory, wherever the program runs.
func TestRelativeFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "usher.yaml")
	text := "verifiers: {a: {jwt: {issuer: i, audience: a, hs256_secret_file: keys/../secret}}}\n"
	for name, content := range map[string]string{file: text, filepath.Join(dir, "secret"): "0123456789abcdef0123456789abcdef\r\n"} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, environ := range [][]string{nil, {"USHER_VERIFIERS_A_JWT_HS256_SECRET_FILE=secret"}} {
		c, err := config.Load(file, environ)
		if err != nil {
			t.Fatal(err)
		}
		if got, want := string(c.Verifiers["a"].JWT.HS256SecretFile), filepath.Join(dir, "secret"); got != want {
			t.Errorf("%v: got %q, want %q", environ, got, want)
		}
	}
}

func TestLoadUnreadable(t *testing.T) {
	big := filepath.Join(t.TempDir(), "big.yaml")
	if err := os.WriteFile(big, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"testdata/nowhere.yaml", "testdata", big} {
		if c, err := config.Load(path, nil); err == nil || c != nil {
			t.Errorf("%s: got %v and %v, want an error", path, c, err)
		}
	}
}

func TestUpstreamString(t *testing.T) {
	tests := []struct{ text, want string }{
		{"ws://a:9000/x", "ws://a:9000/x"},
		{"ws://a", "ws://a/"},
		{"wss://[::1]:443/a%2Fb", "wss://[::1]:443/a%2Fb"},
		{"ws+unix:///run/a.sock:/x", "ws+unix:///run/a.sock:/x"},
		{"ws+unix:///run/a.sock", "ws+unix:///run/a.sock:/"},
	}
	for _, tt := range tests {
		t.Run(tt.text, func(t *testing.T) {
			c, err := config.Load("", []string{
				"USHER_VERIFIERS_V_ASK_URL=http://127.0.0.1/whoami", "USHER_ROUTES_0_PATH=/",
				"USHER_ROUTES_0_CARRIERS_0_BEARER_VERIFY_0=v", "USHER_ROUTES_0_UPSTREAM=" + tt.text,
			})
			if err != nil {
				t.Fatal(err)
			}
			if got := c.Routes[0].Upstream[0].String(); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
