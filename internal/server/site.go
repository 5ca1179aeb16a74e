package server

import (
	"fmt"
	"net/http"
	"slices"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/gateway"
	"github.com/usher-ws/usher/internal/issuer"
	"github.com/usher-ws/usher/internal/login"
)

// A site is what one configuration makes of the public listener. It does not
// change.
type site struct {
	config *config.Config
	names  names        // That it answers to.
	cert   *certificate // Nil without TLS.
	routes []*route
	hub    *hubDoor // Nil without a hub.
	mux    *http.ServeMux
	own    map[string]http.Handler // Usher's own endpoints, by path.
	api    *api
	keys   map[string]*usher.JWKS // By the name of the verifier.
	admin  names
}

// A route is a path of the site with what is behind it.
type route struct {
	name      string // Of metrics, tickets and logs: the path, see routeName.
	config    *config.Route
	guard     *usher.Guard
	pool      *gateway.Pool
	upstreams []upstream
}

// A builder makes a site. What it makes anew that must outlive the site is
// adopted by kept once the site is in force.
type builder struct {
	*kept
	config    *config.Config
	verifiers map[string]usher.Verifier
	keySets   map[keySource]*usher.JWKS
	passwords map[string]*usher.Htpasswd
	pools     map[string]*gateway.Pool
	asks      []idler
	apps      []*hubApp // Of the hub. None: one is made.
	doors     *hubDoors // Of the hub.
	logins    map[string]*login.Login
	issuer    *issuer.Issuer // Or nil.
}

func newBuilder(k *kept, c *config.Config) *builder {
	return &builder{
		kept: k, config: c, verifiers: make(map[string]usher.Verifier), keySets: make(map[keySource]*usher.JWKS),
		passwords: make(map[string]*usher.Htpasswd), pools: make(map[string]*gateway.Pool),
		logins: make(map[string]*login.Login),
	}
}

// build makes the site. It changes nothing that is in force.
func (b *builder) build() (*site, error) {
	c := b.config
	st := &site{
		config: c, names: newNames(c.Hosts), mux: http.NewServeMux(), own: make(map[string]http.Handler),
		keys: make(map[string]*usher.JWKS), admin: adminNames(c), api: &api{kept: b.kept, address: b.address()},
	}
	if c.TLS != nil {
		cert, err := readCertificate(string(c.TLS.Cert), string(c.TLS.Key), b.log)
		if err != nil {
			return nil, fmt.Errorf("tls: %w", err)
		}
		st.cert = cert
	}
	if err := b.makeIssuer(st); err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	desks, proofs := newDispatch("tickets"), newDispatch("csrf tokens")
	renewals := make(map[string]*usher.Guard)
	for i, rc := range c.Routes {
		r, err := b.place(st, rc)
		if err == nil {
			err = b.endpoints(r, desks, proofs)
		}
		if err == nil {
			err = b.renewal(r, renewals)
		}
		if err != nil {
			return nil, fmt.Errorf("routes[%d] %s: %w", i, rc.Path, err)
		}
	}
	var err error
	if st.hub, err = b.hubDoor(desks, proofs, renewals); err != nil {
		return nil, fmt.Errorf("hub: %w", err)
	}
	for name, v := range c.Verifiers {
		if keys := b.keySets[sourceOf(v)]; keys != nil {
			st.keys[name] = keys
		}
	}
	if c.Login != nil {
		l, err := b.login()
		if err != nil {
			return nil, err
		}
		telling := l.Telling(b.loginRefused(st.api))
		for _, path := range login.Paths {
			st.own[path] = telling
		}
	}
	st.own[ticketsPath], st.own[csrfPath] = desks, proofs
	st.own[renewPath] = b.sessions.Desk(renewals)
	return st, b.publishKeys(st)
}

// publishKeys puts there what the site signs with, if it signs anything.
func (b *builder) publishKeys(st *site) error {
	var identity []byte
	if slices.ContainsFunc(b.config.Routes, func(r *config.Route) bool { return r.Identity.JWT != "" }) {
		var err error
		if identity, err = b.signer.JWKS(); err != nil {
			return fmt.Errorf("identity keys: %w", err)
		}
	}
	switch {
	case b.issuer != nil:
		st.own[jwksPath] = ownKeys(identity, b.issuer.KeyDocument)
	case identity != nil:
		st.own[jwksPath] = ownKeys(identity, nil)
	}
	return nil
}

// place puts a route into the site.
func (b *builder) place(st *site, rc *config.Route) (*route, error) {
	r, err := b.route(rc)
	if err != nil {
		return nil, err
	}
	h, err := b.handler(r)
	if err != nil {
		return nil, err
	}
	for _, pattern := range patternsOf(rc) {
		st.mux.Handle(pattern, &door{h})
	}
	st.routes = append(st.routes, r)
	return r, nil
}

// pending tells how many sockets of each route wait.
func (st *site) pending() map[string]int {
	n := make(map[string]int, len(st.routes))
	for _, r := range st.routes {
		n[r.name] = r.guard.Pending()
	}
	if st.hub != nil {
		n[hubPath] = st.hub.route.guard.Pending()
	}
	return n
}
