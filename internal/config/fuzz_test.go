package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/config"
)

// Whatever the file and a variable say, Load returns: a configuration, or
// problems that can be printed and point into the file.
func FuzzLoad(f *testing.F) {
	f.Add("listen: 127.0.0.1:8080\n", "USHER_HOSTS=[a.example]")
	f.Add("routes:\n  - path: /x/{id\n    upstream: [ws://a, ws+unix:///x:/y]\n    carriers: [{ticket: {}}, {basic: {verify: [a]}}]\n", "USHER_ROUTES_0_PATH=/")
	f.Add("verifiers: {a: &b {jwt: *b}}\n<<: {}\n? x\n: y\n", "USHER_VERIFIERS_A_B_JWT_ISSUER=x")
	f.Add("a: |\n  x\n - é: [\"\n", "USHER_ROUTES_0_CARRIERS=[{cookie: ")
	f.Add("routes: [{identity: {headers: {x: y, X: z}, jwt: x}, upstream_headers: {a: {env: B}}}]", "USHER_ROUTES_0_UPSTREAM_HEADERS_X_Y_ENV=Z")
	f.Add("engine: {nats: nats://a:1,é:2,c, d, replicas: [ws://x:1, {y:2}, \"z\":3]}\n", "USHER_ENGINE={nats: tls://a,b@c}")
	file := filepath.Join(f.TempDir(), "usher.yaml")
	f.Fuzz(func(t *testing.T, text, variable string) {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, []string{variable})
		if (c == nil) == (err == nil) {
			t.Fatalf("got %v and %v, want one of them", c, err)
		}
		list, ok := errors.AsType[config.Problems](err)
		if !ok {
			return
		}
		lines := strings.Count(text, "\n") + 1
		for _, p := range list {
			if p.Line > lines || p.Line < 0 || p.Text == "" {
				t.Errorf("got the problem %+v in %d lines", p, lines)
			}
			if strings.ContainsAny(p.Path+p.Text+p.Source, "\x00\x1b\n\r") {
				t.Errorf("got control characters in %+q", p)
			}
		}
	})
}
