package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"sync/atomic"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/issuer"
)

// tokens are what the issuer has of the engine. Each is there before the first site
// that needs it is in force.
type tokens struct {
	signing  atomic.Pointer[engine.Signing]
	signs    atomic.Pointer[signingList]
	families atomic.Pointer[engine.Records]
}

// open opens what is needed and not there yet, and tells the engine how long
// tokens may live from now on.
func (t *tokens) open(ctx context.Context, e *engine.Engine, c *config.Issuer) error {
	if c == nil {
		return nil
	}
	o := engine.SigningOptions{Algorithm: c.Algorithm, Every: c.Rotate, Life: c.MaxAccessToken}
	if signing := t.signing.Load(); signing != nil {
		if err := signing.Use(ctx, o); err != nil {
			return fmt.Errorf("issuer: %w", err)
		}
		return nil
	}
	families, err := e.Records(ctx, engine.Families)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	signing, err := e.Signing(ctx, o)
	if err != nil {
		return fmt.Errorf("issuer: %w", err)
	}
	t.families.Store(families)
	t.signing.Store(signing)
	return nil
}

// makeIssuer makes the issuer of the site, and puts its endpoints there.
func (b *builder) makeIssuer(st *site) error {
	c := b.config.Issuer
	if c == nil {
		return nil
	}
	subjects := make(map[string]usher.Verifier)
	for kind, names := range map[string][]string{
		issuer.TypeAccessToken: c.Subjects.AccessToken, issuer.TypeIDToken: c.Subjects.IDToken, issuer.TypeJWT: c.Subjects.JWT,
	} {
		if len(names) == 0 {
			continue
		}
		v, err := b.anyOf(names, "")
		if err != nil {
			return fmt.Errorf("subjects: %w", err)
		}
		subjects[kind] = v
	}
	made, err := issuer.New(issuer.Options{
		Name: c.Name, Audience: c.Audience, AccessToken: c.AccessToken, MaxAccessToken: c.MaxAccessToken,
		Keep: b.config.Sessions.KeepRevocations, RefreshIdle: c.RefreshIdle, RefreshLifetime: c.RefreshLifetime, Grace: c.Grace,
		Clients: clients{b.kept}, Signing: signingKeys{b.kept}, Grants: families{b.kept},
		Secret:   func() usher.Secret { return b.engine.Secrets().Refresh() },
		Subjects: subjects, Live: b.live(), Origins: c.Origins, Guesses: &b.kept.guesses, Address: b.address(), Log: b.log,
		Observe: func(e issuer.Event) { b.metrics.Asked(e.Endpoint, e.Grant, e.Error, e.Reused) },
	})
	if err != nil {
		return err
	}
	b.issuer, st.api.issuer = made, made
	for path, h := range made.Endpoints() {
		st.own[path] = h
	}
	return nil
}

// A live is the live connections, as the issuer sees them.
type live struct {
	*usher.Sessions
	audiences map[string][]string // That a route's verifiers accept, by its name.
}

// live returns the connections of the site, with the routes that accept tokens of
// its own.
func (b *builder) live() *live {
	l := &live{b.sessions, make(map[string][]string)}
	take := func(route string, carriers []*config.Carrier) {
		for _, c := range carriers {
			for _, name := range c.VerifierNames() {
				if v := b.config.Verifiers[name]; v != nil && v.Issuer != nil {
					l.audiences[route] = append(l.audiences[route], v.Issuer.Audience)
				}
			}
		}
	}
	for _, r := range b.config.Routes {
		take(b.routeName(r), r.Carriers)
	}
	if b.config.Hub != nil {
		take(hubPath, hubCarriers(b.config.Hub))
	}
	return l
}

// Renew implements [issuer.Live].
func (l *live) Renew(ctx context.Context, id *usher.Identity) (connections int, err error) {
	var routes []string
	for route, audiences := range l.audiences {
		if slices.ContainsFunc(audiences, func(a string) bool { return isFor(id, a) }) {
			routes = append(routes, route)
		}
	}
	if len(routes) == 0 {
		return 0, nil
	}
	return l.Sessions.Renew(ctx, id, routes...)
}

// isFor reports whether an audience is among those of a token.
func isFor(id *usher.Identity, audience string) bool {
	switch aud := id.Claims["aud"].(type) {
	case string:
		return aud == audience
	case []any:
		return slices.Contains(aud, any(audience))
	}
	return false
}

// address tells the address of a request's client, by the proxies that are trusted.
func (b *builder) address() func(*http.Request) netip.Addr {
	g := &usher.Guard{TrustedProxies: b.trusted()}
	return func(r *http.Request) netip.Addr {
		addr, _ := g.Client(r)
		return addr
	}
}

// ownKeys serves in one JWK Set what the site signs with: the keys of its tokens,
// and that of the JWT for upstreams, which changes with each start of the process.
// Who finds a "kid" unknown asks again.
func ownKeys(identity []byte, tokens func() ([]byte, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if !onlyGet(w, r) {
			return
		}
		doc, err := joinSets(identity, tokens)
		if err != nil {
			writeProblem(w, http.StatusInternalServerError, "")
			return
		}
		h.Set("Content-Type", "application/jwk-set+json")
		h.Set("Cache-Control", "public, max-age=300")
		h.Set("X-Content-Type-Options", "nosniff")
		w.Write(doc)
	})
}

// joinSets returns the keys of both JWK Sets, either of which may be missing.
func joinSets(identity []byte, tokens func() ([]byte, error)) ([]byte, error) {
	if tokens == nil {
		return identity, nil
	}
	doc, err := tokens()
	if err != nil || identity == nil {
		return doc, err
	}
	type set struct {
		Keys []json.RawMessage `json:"keys"`
	}
	var all, more set
	if err := errors.Join(json.Unmarshal(doc, &all), json.Unmarshal(identity, &more)); err != nil {
		return nil, err
	}
	all.Keys = append(all.Keys, more.Keys...)
	return json.Marshal(all)
}
