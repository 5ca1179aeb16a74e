package server

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/gateway"
)

// tunnel returns what is behind the route's Guard.
func (b *builder) tunnel(r *route) (http.Handler, error) {
	rc := r.config
	identity := gateway.Identity{
		Headers: make(map[string]string, len(rc.Identity.Headers)), JWT: string(rc.Identity.JWT), Signer: b.signer,
	}
	for name, claim := range rc.Identity.Headers {
		identity.Headers[string(name)] = claim
	}
	own := make(http.Header, len(rc.UpstreamHeaders))
	for name, source := range rc.UpstreamHeaders {
		value, err := reveal(source)
		if err != nil {
			return nil, fmt.Errorf("upstream_headers.%s: %w", name, err)
		}
		own[string(name)] = []string{value}
	}
	return (&gateway.Route{
		Pattern: rc.Path, Pool: r.pool, Identity: identity, UpstreamHeaders: own,
		AllowSetCookie: rc.AllowSetCookie, Cookies: credentialCookies(b.config.Routes),
		Idle: rc.Limits.Idle, Ping: rc.Limits.Ping, Guard: r.guard,
		Opened: func(ctx context.Context) (closed func()) {
			leave, done := b.visitors.enter(ctx), b.metrics.Connected(r.name)
			return func() {
				done()
				leave()
			}
		},
		Traffic: func(in, out int64) { b.metrics.Carried(r.name, in, out) },
	}).Handler(), nil
}

// reveal returns a secret that the configuration names.
func reveal(s *config.SecretSource) (string, error) {
	if s.File != "" {
		secret, err := readSecret(string(s.File))
		return secret.Reveal(), err
	}
	value, ok := os.LookupEnv(s.Env)
	if !ok {
		return "", fmt.Errorf("no environment variable %s", s.Env)
	}
	return value, nil
}

// credentialCookies are the names of all cookies that any route, or the desk of
// its tickets, takes for a credential: an upstream must not get those of another
// route either, which browsers send along.
func credentialCookies(routes []*config.Route) []string {
	var names []string
	add := func(name string) {
		if name != "" && !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, r := range routes {
		for _, c := range r.Carriers {
			if c.Cookie != nil {
				add(c.Cookie.Name)
			}
			if c.Ticket != nil {
				add(c.Ticket.Cookie)
			}
		}
	}
	return names
}
