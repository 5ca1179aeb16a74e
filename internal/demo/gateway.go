package demo

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"text/template"
	"time"

	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/server"
)

//go:embed usher.yaml.tmpl
var configText string

//go:embed users.htpasswd
var passwords []byte

// gatewayNeeds is what the configuration does not know before the demo runs.
type gatewayNeeds struct {
	IP     string // That it listens on.
	WhoAmI string // URL of the application's answer about a cookie.
	Chats  []chatBehind
}

// A chatBehind is a backend with the paths under which the gateway has it.
type chatBehind struct{ Name, Prefix, Address string }

// A way is a path with a carrier. Basic has a path of its own, because browsers
// send a password that worked once to everything beside it.
type way struct {
	Path, Carriers string
	Waits          bool // For a first message: briefly, so that a visitor sees it pass.
}

var ways = []way{
	{"/chat/ticket", "{ticket: {verify: [tokens, app], cookie: session}}, {first_message: {}}", true},
	{"/chat/subprotocol", "{subprotocol: {verify: [tokens, app]}}", false},
	{"/chat/first-message", "{first_message: {verify: [tokens, app]}}", true},
	{"/chat/cookie", "{cookie: {name: session, verify: [app], csrf: true}}", false},
	{"/chat/query", "{query: {verify: [tokens, app]}}", false},
	{"/devices/chat", "{basic: {verify: [users]}}", false},
	{"/chat/bearer", "{bearer: {verify: [tokens, app]}}", false},
	{"/chat/two", "{subprotocol: {verify: [tokens, app]}}, {query: {verify: [tokens, app]}}", false},
}

// A gateway is what "usher serve" would run with the configuration that the
// page shows.
type gateway struct {
	// Immutable after newGateway.
	config string
	server *server.Server
	client *http.Transport // To both its listeners.

	ready chan struct{} // Closed when the two addresses are known.
	// Set before ready is closed, and not changed after.
	public, admin string
}

// newGateway makes the gateway; run starts it. Its files, the secret among
// them, are in a directory of their own and only while it reads them, so that
// nothing stays behind however the demo ends.
func newGateway(needs gatewayNeeds, key []byte, logs io.Writer) (g *gateway, err error) {
	g = &gateway{ready: make(chan struct{}), client: newTransport()}
	dir, err := os.MkdirTemp("", "usher-demo-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for the configuration: %w", err)
	}
	defer func() {
		if removed := os.RemoveAll(dir); removed != nil {
			err = errors.Join(err, fmt.Errorf("remove the configuration: %w", removed))
		}
	}()
	if g.config, err = configFor(needs); err != nil {
		return nil, err
	}
	for name, text := range map[string][]byte{
		"usher.yaml": []byte(g.config), "secret": append(bytes.Clone(key), '\n'), "users": passwords,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			return nil, fmt.Errorf("write the configuration: %w", err)
		}
	}
	// The environment is another gateway's, if any.
	c, err := config.Load(filepath.Join(dir, "usher.yaml"), nil)
	if err != nil {
		return nil, fmt.Errorf("read the demo's configuration: %w", err)
	}
	g.server, err = server.New(c, server.Options{Logs: logs, Ready: func(public, admin net.Addr) {
		g.public, g.admin = public.String(), admin.String()
		close(g.ready)
	}})
	return g, err
}

// configFor fills the configuration in.
func configFor(needs gatewayNeeds) (string, error) {
	t, err := template.New("usher.yaml").Parse(configText)
	if err != nil {
		return "", fmt.Errorf("parse the configuration's template: %w", err)
	}
	needs.IP = bracketed(needs.IP)
	var text bytes.Buffer
	if err := t.Execute(&text, struct {
		gatewayNeeds
		Ways []way
	}{needs, ways}); err != nil {
		return "", fmt.Errorf("fill in the configuration: %w", err)
	}
	return text.String(), nil
}

// bracketed returns an address as it stands before a port.
func bracketed(ip string) string {
	if net.ParseIP(ip).To4() == nil {
		return "[" + ip + "]"
	}
	return ip
}

func newTransport() *http.Transport {
	return &http.Transport{
		DisableCompression: true, MaxIdleConnsPerHost: 16, IdleConnTimeout: 30 * time.Second,
		ResponseHeaderTimeout: time.Minute,
	}
}

// run serves until ctx ends, and then tells all sockets to go.
func (g *gateway) run(ctx context.Context) error { return g.server.Run(ctx) }

func (g *gateway) closeIdle() { g.client.CloseIdleConnections() }

// adminURL is the admin listener's, once the gateway is ready.
func (g *gateway) adminURL(ctx context.Context) (string, error) {
	select {
	case <-g.ready:
		return "http://" + g.admin, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// front passes requests on to the gateway as they come: the gateway sees the
// browser's Host and Origin, and the whole query.
func (g *gateway) front() http.Handler {
	proxy := &httputil.ReverseProxy{
		Transport: g.client,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: g.public})
			p.Out.Host = p.In.Host
			p.Out.URL.RawQuery = p.In.URL.RawQuery
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			http.Error(w, "the gateway does not answer", http.StatusBadGateway)
		},
		ErrorLog: discardLog(),
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-g.ready:
			proxy.ServeHTTP(w, r)
		case <-r.Context().Done():
		}
	})
}

// maxAdmin bounds an answer of the admin listener, in bytes.
const maxAdmin = 1 << 20

// ask returns what the admin listener has at path.
func (g *gateway) ask(ctx context.Context, path string) ([]byte, error) {
	base, err := g.adminURL(ctx)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, base+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway for %s: %w", path, err)
	}
	answer, err := g.client.RoundTrip(r)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway for %s: %w", path, err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(io.LimitReader(answer.Body, maxAdmin))
	if err == nil && answer.StatusCode != http.StatusOK {
		err = errors.New(answer.Status)
	}
	if err != nil {
		return nil, fmt.Errorf("ask the gateway for %s: %w", path, err)
	}
	return text, nil
}
