package config_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

// A hub is as it is written, with its defaults.
func TestHub(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"key": "0123456789abcdef", "secret": "0123456789abcdef0123456789abcdef", "usher.yaml": `
engine: {memory: true}
verifiers: {login: {jwt: {issuer: x, audience: y, hs256_secret_file: secret}}}
hub:
  apps:
    chat:
      keys: {full: {secret: {file: key}}, see: {secret: {file: key}, capability: {"a:*": [subscribe]}, revocable: true}}
      namespaces: {persisted: {retention: 24h}}
  origins: [https://app.example.com]
  verify: [login]
  carriers: [{ticket: {}}]
routes: [{path: /keyring, upstream: "ws://127.0.0.1:1", carriers: [{bearer: {verify: [login]}}]}]
`} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(filepath.Join(dir, "usher.yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	key := func() *config.SecretSource { return &config.SecretSource{File: config.File(filepath.Join(dir, "key"))} }
	want := &config.Hub{
		Apps: map[string]*config.App{"chat": {
			Keys: map[string]*config.AppKey{
				"full": {Secret: key()}, "see": {Secret: key(), Capability: map[string][]string{"a:*": {"subscribe"}}, Revocable: true},
			},
			Namespaces: map[string]*config.Namespace{"persisted": {Retention: 24 * time.Hour, Members: 250}},
			Limits:     config.AppLimits{MessageSize: 65536, Connections: 100000, ClientConnections: 10000, Channels: 200, AllChannels: 100000, AttachRate: 100, Rate: 1000, ChannelRate: 5000, Calls: 1000, KeyCalls: 500, ClientCalls: 100},
		}},
		Origins: []string{"https://app.example.com"}, Verify: []string{"login"},
		Carriers: []*config.Carrier{{Ticket: &config.Ticket{Verify: []string{"login"}, Param: "ticket"}}},
	}
	if d := cmp.Diff(want, c.Hub); d != "" {
		t.Error(d)
	}
	for id, want := range map[string]string{"full": `{"*":["*"]}`, "see": `{"a:*":["subscribe"]}`} {
		if p, err := c.Hub.Apps["chat"].Keys[id].Permissions(); err != nil || p.Capability() != want {
			t.Errorf("%s: got %s, %v, want %s", id, p.Capability(), err, want)
		}
	}
}

// The hub and the routes must agree about which paths are the hub's.
func TestHubOwns(t *testing.T) {
	for p, want := range map[string]bool{
		"/": true, "/time": true, "/keys/a.b/requestToken": true, "/channels": true, "/channels/a%2Fb/messages": true, "/channels//messages": true,
		"/messages": true, "/presence": true, "/stats": true, "/apps": true, "/comet/connect": true, "/push/x": true,
		"": true, "//": false, "/time/x": false, "/keys": false, "/keyring": false, "/chat": false, "/channelsx": false, "/%63hannels": false,
	} {
		if got := config.HubOwns(p); got != want {
			t.Errorf("%s: got %t, want %t", p, got, want)
		}
	}
}
