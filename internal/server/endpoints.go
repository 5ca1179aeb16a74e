package server

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
)

// The paths of Usher's own on the public listener.
const (
	ownPrefix   = "/usher/v1/"
	ticketsPath = ownPrefix + "tickets"
	csrfPath    = ownPrefix + "csrf"
	jwksPath    = "/.well-known/jwks.json"
)

// endpoints makes what serves the pages of a route: the desk for its tickets,
// and the tokens that are a second proof beside its cookies.
func (b *builder) endpoints(r *route, desks, proofs *dispatch) error {
	var carriers []usher.Carrier
	for _, c := range r.config.Carriers {
		if c.Ticket != nil {
			desk, err := b.desk(r, c.Ticket)
			if err != nil {
				return fmt.Errorf("ticket desk: %w", err)
			}
			desks.add(r, desk)
		}
		if c.Cookie != nil && c.Cookie.CSRF {
			v, err := b.anyOf(c.Cookie.Verify, c.Cookie.Name)
			if err != nil {
				return fmt.Errorf("csrf tokens: %w", err)
			}
			carriers = append(carriers, usher.Cookie(c.Cookie.Name, forRoute{v, r.name}))
		}
	}
	if len(carriers) == 0 {
		return nil
	}
	g := b.newGuard(r.config, csrfPath, carriers)
	if err := g.Validate(); err != nil {
		return fmt.Errorf("csrf tokens: %w", err)
	}
	proofs.add(r, b.csrf.Desk(g))
	return nil
}

// desk returns the handler where the route's pages get tickets.
func (b *builder) desk(r *route, t *config.Ticket) (http.Handler, error) {
	names := t.Verify
	if len(names) == 0 {
		names = deskVerifiers(r.config)
	}
	v, err := b.anyOf(names, t.Cookie)
	if err != nil {
		return nil, err
	}
	v = forRoute{v, r.name}
	carriers := []usher.Carrier{usher.Bearer(v)}
	if t.Cookie != "" {
		carriers = append(carriers, usher.Cookie(t.Cookie, v))
	}
	g := b.newGuard(r.config, ticketsPath, carriers)
	if err := g.Validate(); err != nil {
		return nil, err
	}
	return b.tickets.Desk(g, r.name), nil
}

// deskVerifiers are those of the route's bearer and subprotocol carriers.
func deskVerifiers(rc *config.Route) []string {
	var names []string
	seen := make(map[string]bool)
	for _, c := range rc.Carriers {
		if c.Bearer == nil && c.Subprotocol == nil {
			continue
		}
		for _, name := range c.VerifierNames() {
			if !seen[name] {
				seen[name] = true
				names = append(names, name)
			}
		}
	}
	return names
}

// A dispatch is an endpoint that each route has one of. The parameter route says
// which, by the route's name or by a path that it serves; it may be left out
// where there is one.
type dispatch struct {
	what   string
	by     map[string]http.Handler
	byPath *http.ServeMux
}

func newDispatch(what string) *dispatch {
	return &dispatch{what: what, by: make(map[string]http.Handler), byPath: http.NewServeMux()}
}

// add takes the endpoint of a route.
func (d *dispatch) add(r *route, h http.Handler) {
	d.by[r.name] = h
	for _, pattern := range patternsOf(r.config) {
		d.byPath.Handle(pattern, &endpoint{h, r.name})
	}
}

// An endpoint is that of a route which is asked for by a path, and no redirect of
// the ServeMux's own.
type endpoint struct {
	http.Handler
	route string
}

// ServeHTTP asks for the route by its name.
func (e *endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	named := *r
	u := *r.URL
	query := u.Query()
	query.Set("route", e.route)
	u.RawQuery = query.Encode()
	named.URL = &u
	e.Handler.ServeHTTP(w, &named)
}

// find returns the endpoint that is asked for, or nil.
func (d *dispatch) find(asked, host string) http.Handler {
	if h := d.by[asked]; h != nil || !strings.HasPrefix(asked, "/") {
		return h
	}
	u := &url.URL{Path: asked}
	if !isClean(u) {
		return nil
	}
	h, _ := d.byPath.Handler(&http.Request{Method: http.MethodGet, Host: plainHost(host), URL: u})
	if e, ok := h.(*endpoint); ok {
		return e
	}
	return nil
}

// ServeHTTP passes the request on to the route's own.
func (d *dispatch) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		writeProblem(w, http.StatusBadRequest, "the query is malformed")
		return
	}
	asked := query["route"]
	switch {
	case len(asked) > 1:
		writeProblem(w, http.StatusBadRequest, "the parameter route is there more than once")
		return
	case len(asked) == 1:
		if h := d.find(asked[0], r.Host); h != nil {
			h.ServeHTTP(w, r)
			return
		}
	case len(d.by) == 1:
		for _, only := range d.by {
			only.ServeHTTP(w, r)
		}
		return
	case len(d.by) > 1:
		writeProblem(w, http.StatusBadRequest, "the parameter route must say what is asked for")
		return
	}
	writeProblem(w, http.StatusNotFound, "there are no "+d.what+" for this route")
}
