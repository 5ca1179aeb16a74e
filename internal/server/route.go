package server

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/gateway"
)

// routeName is what a route is called in metrics, logs and by those who want a
// ticket for it: its path. Where several routes have one path it has its first
// host in front, since a ticket for one is not good for the other.
func (b *builder) routeName(r *config.Route) string {
	same := 0
	for _, other := range b.config.Routes {
		if other.Path == r.Path {
			same++
		}
	}
	if same > 1 && len(r.Hosts) > 0 {
		return strings.ToLower(r.Hosts[0]) + r.Path
	}
	return r.Path
}

// patternsOf are what a route is registered as at a ServeMux, one for each name.
func patternsOf(r *config.Route) []string {
	if len(r.Hosts) == 0 {
		return []string{r.Path}
	}
	var list []string
	for _, h := range r.Hosts {
		if p := plainHost(h) + r.Path; !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// plainHost returns the name in a Host in the one form that routes are matched
// by: in lower case, without a port and without the dot of a full name.
func plainHost(host string) string {
	return strings.TrimSuffix(strings.ToLower(withoutPort(host)), ".")
}

// withoutPort returns the name in a Host, that of IPv6 in its brackets.
func withoutPort(host string) string {
	name, _, err := net.SplitHostPort(host)
	switch {
	case err != nil:
		return host
	case strings.Contains(name, ":"):
		return "[" + name + "]"
	}
	return name
}

// route makes a route: its Guard and its upstreams.
func (b *builder) route(rc *config.Route) (*route, error) {
	r := &route{name: b.routeName(rc), config: rc}
	carriers, err := b.carriers(rc.Carriers)
	if err != nil {
		return nil, err
	}
	r.guard = b.newGuard(rc, r.name, carriers)
	r.guard.Subprotocols, r.guard.Detach = rc.Subprotocols, true
	if err := r.guard.Validate(); err != nil {
		return nil, err
	}
	return r, b.upstreams(r)
}

// newGuard returns a Guard with what all Guards of a route have in common: its
// own, and those of the endpoints that serve its pages.
func (b *builder) newGuard(rc *config.Route, name string, carriers []usher.Carrier) *usher.Guard {
	hosts := rc.Hosts
	if len(hosts) == 0 {
		hosts = b.config.Hosts
	}
	return &usher.Guard{
		Carriers: carriers, Origins: rc.Origins, Hosts: hosts, TrustedProxies: b.trusted(),
		InsecureAnyOrigin: rc.InsecureAnyOrigin, Route: name,
		Require: usher.Requirement{Scope: rc.Require.Scope, Claims: rc.Require.Claims},
		Limits: usher.Limits{
			Pending: rc.Limits.Pending, PendingPerAddress: rc.Limits.PendingPerAddress,
			FirstMessage: rc.Limits.FirstMessage, Verify: rc.Limits.Verify,
			Lifetime: rc.Limits.Lifetime, PerIdentity: rc.Limits.MaxConnections, ReplaceOldest: rc.Limits.WhenFull == "replace",
		},
		Sessions: b.sessions, Observe: b.observe, Log: b.log,
	}
}

// trusted are the networks whose word about a client is believed.
func (b *builder) trusted() []netip.Prefix {
	if b.config.ProxyProtocol {
		// What these send is the PROXY header. The address of a request is then
		// its client's, which may be in one of their networks as well.
		return nil
	}
	return b.config.TrustedProxies
}

// An upstream is an address behind a route, as readiness asks for it.
type upstream struct {
	config.Upstream
	tls *tls.Config // Nil without TLS.
}

// upstreams makes the route's pool, or takes that of the last site if it is the
// same, which knows how many connections each upstream has.
func (b *builder) upstreams(r *route) error {
	rc := r.config
	roots, sum, err := readRoots(string(rc.CA))
	if err != nil {
		return err
	}
	key := fmt.Sprintf("%s\x00%x\x00%s", r.name, sum, rc.ConnectTimeout)
	targets := make([]*gateway.Target, 0, len(rc.Upstream))
	for _, u := range rc.Upstream {
		key += "\x00" + u.String()
		up := upstream{Upstream: u}
		if u.TLS {
			up.tls = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
		}
		t, err := gateway.ParseTarget(u.String(), up.tls)
		if err != nil {
			return fmt.Errorf("upstream: %w", err)
		}
		targets = append(targets, t)
		r.upstreams = append(r.upstreams, up)
	}
	if r.pool = b.kept.pools[key]; r.pool == nil {
		r.pool = gateway.NewPool(rc.ConnectTimeout, targets...)
	}
	b.pools[key] = r.pool
	return nil
}

// readRoots reads the certificates that vouch for upstreams; none are those of
// the system.
func readRoots(file string) (*x509.CertPool, [sha256.Size]byte, error) {
	if file == "" {
		return nil, [sha256.Size]byte{}, nil
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("read ca: %w", err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, [sha256.Size]byte{}, errors.New("read ca: no certificate in PEM in it")
	}
	return roots, sha256.Sum256(text), nil
}

// handler is the route's Guard with the tunnel behind it.
func (b *builder) handler(r *route) (http.Handler, error) {
	tunnel, err := b.tunnel(r)
	if err != nil {
		return nil, err
	}
	return r.guard.Handler(tunnel), nil
}
