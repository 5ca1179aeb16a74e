package config_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

// A port needs no quotes, also in a list that is within braces.
func TestPortsWithinBraces(t *testing.T) {
	const text = `hosts: [a.example:8443, b.example]
verifiers: {app: {ask: {url: http://127.0.0.1:9000}}}
routes:
  - {path: /, hosts: [a.example:8443, b.example], upstream: [ws://127.0.0.1:9000, "ws://[::1]:9001"], carriers: [bearer: {verify: [app]}]}
`
	file := filepath.Join(t.TempDir(), "usher.yaml")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := config.Load(file, nil)
	if err != nil {
		t.Fatalf("got\n%v", err)
	}
	r := c.Routes[0]
	if diff := cmp.Diff([]string{"a.example:8443", "b.example"}, r.Hosts); diff != "" {
		t.Errorf("hosts, -want +got:\n%s", diff)
	}
	var upstreams []string
	for _, u := range r.Upstream {
		upstreams = append(upstreams, u.Address)
	}
	if diff := cmp.Diff([]string{"127.0.0.1:9000", "[::1]:9001"}, upstreams); diff != "" {
		t.Errorf("upstreams, -want +got:\n%s", diff)
	}
}
