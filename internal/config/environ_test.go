package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/usher-ws/usher/internal/config"
)

// The sample once more, without a file.
func TestEnvironmentAlone(t *testing.T) {
	archive, err := txtar.ParseFile("testdata/good/whole.txtar")
	if err != nil {
		t.Fatal(err)
	}
	unpack(t, archive)
	environ := strings.Split(`USHER_BACKEND=Bearer x
USHER_LISTEN=127.0.0.1:8080
USHER_HOSTS=[localhost, app.example.com]
USHER_TRUSTED_PROXIES_0=10.0.0.0/8
USHER_TRUSTED_PROXIES_1=::1
USHER_ENGINE_MEMORY=true
USHER_SESSIONS_KEEP_REVOCATIONS=30m
USHER_VERIFIERS_LOGIN_JWT_ISSUER=https://login.example.com
USHER_VERIFIERS_LOGIN_JWT_AUDIENCE=chat
USHER_VERIFIERS_LOGIN_JWT_JWKS=https://login.example.com/keys.json
USHER_VERIFIERS_LOCAL={jwt: {issuer: test, audience: chat, hs256_secret_file: ./secret}}
USHER_VERIFIERS_APP_ASK_URL=http://127.0.0.1:9000/whoami
USHER_VERIFIERS_USERS_HTPASSWD=users
USHER_ROUTES_0_PATH=/chat
USHER_ROUTES_0_UPSTREAM=ws://127.0.0.1:9000/chat
USHER_ROUTES_0_ORIGINS=[https://app.example.com]
USHER_ROUTES_0_SUBPROTOCOLS_0=chat.v1
USHER_ROUTES_0_CARRIERS_0_TICKET_VERIFY=[login, local]
USHER_ROUTES_0_CARRIERS_0_TICKET_COOKIE=__Host-session
USHER_ROUTES_0_CARRIERS_1_SUBPROTOCOL={verify: [login, local]}
USHER_ROUTES_0_CARRIERS_2={cookie: {name: __Host-session, verify: [app]}}
USHER_ROUTES_0_CARRIERS_3_QUERY_VERIFY_0=local
USHER_ROUTES_0_CARRIERS_4_BEARER_VERIFY=[login, local]
USHER_ROUTES_0_CARRIERS_5_FIRST_MESSAGE_VERIFY=[login, local]
USHER_ROUTES_0_IDENTITY_HEADERS_X_USER=sub
USHER_ROUTES_0_IDENTITY_JWT=x-usher-identity
USHER_ROUTES_0_LIMITS_PENDING=1000
USHER_ROUTES_1={path: /devices, upstream: "ws://127.0.0.1:9000/devices", carriers: [{basic: {verify: [users]}}]}
USHER_ROUTES_2_PATH=/rooms/{id}
USHER_ROUTES_2_HOSTS=[app.example.com]
USHER_ROUTES_2_UPSTREAM=["wss://chat.internal", "ws+unix:///run/app.sock:/rooms"]
USHER_ROUTES_2_UPSTREAM_2=ws+unix://app.sock
USHER_ROUTES_2_CONNECT_TIMEOUT=1s
USHER_ROUTES_2_UPSTREAM_HEADERS_X_API_KEY_FILE=secret
USHER_ROUTES_2_UPSTREAM_HEADERS_AUTHORIZATION_ENV=USHER_BACKEND
USHER_ROUTES_2_ALLOW_SET_COOKIE=true
USHER_ROUTES_2_REQUIRE_SCOPE=[chat]
USHER_ROUTES_2_REQUIRE_CLAIMS_TENANT=[acme, globex]
USHER_ROUTES_2_CARRIERS=[{ticket: {}}, {bearer: {verify: [local, app]}}, {first_message: {type: login, token: jwt}}]
USHER_ROUTES_2_LIMITS_IDLE=1h
USHER_ROUTES_2_LIMITS_LIFETIME=12h
USHER_ROUTES_2_LIMITS_PING=0s
USHER_ROUTES_2_LIMITS_MAX_CONNECTIONS=5
USHER_ROUTES_2_LIMITS_WHEN_FULL=replace
USHER_LOG={level: debug}
USHER_LOG_FORMAT=json
USHER_DRAIN=0s
USHER_PROXY_PROTOCOL=`, "\n")
	got, err := config.Load("", environ)
	if err != nil {
		t.Fatalf("got\n%v", err)
	}
	if diff := cmp.Diff(whole(), got, equal); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// What the environment says goes over the file, key by key.
func TestEnvironmentOverFile(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "usher.yaml")
	const text = `listen: 127.0.0.1:8080
hosts: [a.example, b.example]
drain: 1s
log: {level: warn}
verifiers:
  my-app: {ask: {url: http://127.0.0.1:9000/whoami, timeout: 1s}}
routes:
  - path: /a
    upstream: ws://127.0.0.1:9000
    carriers: [{bearer: {verify: [my-app]}}]
    identity: {headers: {x-user: sub}}
`
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name, variable string
		get            func(*config.Config) any
		want           any
	}{
		{"scalar", "USHER_LISTEN=127.0.0.1:9999", func(c *config.Config) any { return c.Listen }, config.Address("127.0.0.1:9999")},
		{"nested", "USHER_LOG_LEVEL=debug", func(c *config.Config) any { return c.Log.Level }, "debug"},
		{"time", "USHER_DRAIN=2m", func(c *config.Config) any { return c.Drain }, 2 * time.Minute},
		{"list", "USHER_HOSTS=[c.example]", func(c *config.Config) any { return c.Hosts }, []string{"c.example"}},
		{"item", "USHER_HOSTS_1=c.example", func(c *config.Config) any { return c.Hosts }, []string{"a.example", "c.example"}},
		{"next item", "USHER_HOSTS_2=c.example", func(c *config.Config) any { return len(c.Hosts) }, 3},
		{"no list", "USHER_HOSTS=[]", func(c *config.Config) any { return len(c.Hosts) }, 0},
		{"empty", "USHER_LISTEN=", func(c *config.Config) any { return c.Listen }, config.Address("127.0.0.1:8080")},
		{
			"name with a dash", "USHER_VERIFIERS_MY_APP_ASK_TIMEOUT=9s",
			func(c *config.Config) any { return c.Verifiers["my-app"].Ask.Timeout }, 9 * time.Second,
		},
		{
			"text that looks like YAML", "USHER_VERIFIERS_MY_APP_ASK_SUBJECT=*a: [1",
			func(c *config.Config) any { return c.Verifiers["my-app"].Ask.Subject }, "*a: [1",
		},
		{
			"header in another case", "USHER_ROUTES_0_IDENTITY_HEADERS_X_USER=name",
			func(c *config.Config) any { return c.Routes[0].Identity.Headers },
			map[config.HeaderName]string{"X-User": "name"},
		},
		{"upstream", "USHER_ROUTES_0_UPSTREAM=ws://b:1/x", func(c *config.Config) any { return c.Routes[0].Upstream[0].Host }, "b:1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := config.Load(file, []string{"USHER_CONFIG=" + file, "HOME=/", tt.variable})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, tt.get(c)); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}
