package config

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

func (k *checker) route(p path, r *Route) {
	if r == nil {
		return
	}
	k.hosts(p.with("hosts"), r.Hosts)
	k.routeHosts(p.with("hosts"), r.Hosts)
	for i, o := range r.Origins {
		k.guard(p.with("origins", i), &usher.Guard{Origins: []string{o}})
	}
	k.unique(p.with("origins"), r.Origins)
	for i, s := range r.Subprotocols {
		k.guard(p.with("subprotocols", i), &usher.Guard{Subprotocols: []string{s}})
	}
	k.unique(p.with("subprotocols"), r.Subprotocols)
	for i, name := range r.Require.Scope {
		k.guard(p.with("require", "scope", i), &usher.Guard{Require: usher.Requirement{Scope: []string{name}}})
	}
	for _, name := range sorted(r.Require.Claims) {
		k.guard(p.with("require", "claims", name), &usher.Guard{Require: usher.Requirement{
			Claims: map[string][]string{name: r.Require.Claims[name]},
		}})
	}
	k.upstream(p, r)
	k.headers(p, r)
	k.carriers(p.with("carriers"), r)
	if l := r.Limits; l.WhenFull == "replace" && l.MaxConnections == 0 {
		k.report(p.with("limits", "when_full"), "needs max_connections: without, nobody's connections are ever full")
	}
}

// routeHosts reports names that the public listener does not answer to.
func (k *checker) routeHosts(p path, hosts []string) {
	if len(k.config.Hosts) == 0 {
		return
	}
	for i, h := range hosts {
		known := slices.ContainsFunc(k.config.Hosts, func(top string) bool {
			return strings.EqualFold(top, h) || strings.EqualFold(top, withoutPort(h))
		})
		if !known {
			k.report(p.with(i), "not one of the top level's hosts, so it never gets here%s", didYouMean(h, k.config.Hosts))
		}
	}
}

func (k *checker) upstream(p path, r *Route) {
	written := make([]string, 0, len(r.Upstream))
	encrypted := false
	for _, u := range r.Upstream {
		written = append(written, u.String())
		encrypted = encrypted || u.TLS
	}
	k.unique(p.with("upstream"), written)
	if r.CA == "" {
		return
	}
	k.certificates(p.with("ca"), r.CA)
	if !encrypted {
		k.report(p.with("ca"), "is for upstreams of wss://, and there is none")
	}
}

// headers holds the names that the gateway sets apart from each other, however
// a server folds them.
func (k *checker) headers(p path, r *Route) {
	by := make(map[string]string)
	once := func(at path, h HeaderName) {
		if other, taken := by[h.folded()]; taken {
			k.report(at, "is the same header as %s", other)
			return
		}
		by[h.folded()] = at.String()
	}
	identity := p.with("identity")
	for _, h := range sorted(r.Identity.Headers) {
		at := identity.with("headers", string(h))
		once(at, h)
		if r.Identity.Headers[h] == "" {
			k.report(at, "empty; want the name of a claim, such as sub")
		}
	}
	if r.Identity.JWT != "" {
		once(identity.with("jwt"), r.Identity.JWT)
	}
	for _, h := range sorted(r.UpstreamHeaders) {
		at := p.with("upstream_headers", string(h))
		once(at, h)
		if s := r.UpstreamHeaders[h]; s != nil && k.reports.clean(at) {
			k.secret(at, s)
		}
	}
}

func (k *checker) carriers(p path, r *Route) {
	whole := true
	for i, c := range r.Carriers {
		if c == nil || c.Name() == "" || !k.reports.clean(p.with(i)) {
			whole = false // Decoding told why.
			continue
		}
		k.verify(p.with(i, c.Name()), c, r)
	}
	if whole {
		k.together(p, r)
		k.params(p, r)
	}
}

// verify looks at the verifiers of one carrier, and gives a ticket those of the
// route.
func (k *checker) verify(p path, c *Carrier, r *Route) {
	if c.Ticket != nil && c.Ticket.Cookie != "" && r.InsecureAnyOrigin {
		k.report(p.with("cookie"), "browsers attach it to what any page starts, so not beside insecure_any_origin: any page could buy a ticket")
	}
	if c.Ticket != nil && len(c.Ticket.Verify) == 0 {
		c.Ticket.Verify = deskVerifiers(r)
		if len(c.Ticket.Verify) == 0 {
			k.report(p, "who may have a ticket? want verify here, or a carrier bearer or subprotocol to take it from")
		}
		return
	}
	if c.Ticket != nil && c.Ticket.Cookie != "" {
		k.guard(p.with("cookie"), guardOf([]usher.Carrier{usher.Cookie(c.Ticket.Cookie, nobody)}))
	}
	names := c.VerifierNames()
	k.unique(p.with("verify"), names)
	for i, name := range names {
		v, known := k.config.Verifiers[name]
		at := p.with("verify", i)
		switch {
		case !known:
			k.report(at, "no verifier has this name%s", k.otherVerifiers(name))
		case v == nil:
		case c.Basic != nil && (v.JWT != nil || v.Introspect != nil || v.Issuer != nil):
			k.report(at, "judges tokens, and basic brings passwords; want a verifier with htpasswd or ask")
		case v.Login:
			k.loggedIn(p, at, c)
		case c.Basic == nil && v.Htpasswd != "":
			k.report(at, "judges passwords, which only the carrier basic brings")
		}
	}
}

func (k *checker) otherVerifiers(name string) string {
	names := sorted(k.config.Verifiers)
	if hint := didYouMean(name, names); hint != "" || len(names) == 0 {
		return hint
	}
	return "; there are " + printable(strings.Join(names, ", "))
}

// deskVerifiers are those of the route's bearer and subprotocol carriers.
func deskVerifiers(r *Route) []string {
	var names []string
	for _, c := range r.Carriers {
		if c == nil || c.Bearer == nil && c.Subprotocol == nil {
			continue
		}
		for _, name := range c.VerifierNames() {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// together asks the Guard whether the carriers go together, and finds out which
// of them it means: one without which it would not complain.
func (k *checker) together(p path, r *Route) {
	all := make([]usher.Carrier, 0, len(r.Carriers))
	for _, c := range r.Carriers {
		all = append(all, carrierOf(c))
	}
	complaints := func(carriers []usher.Carrier) []string {
		g := guardOf(carriers)
		g.InsecureAnyOrigin = r.InsecureAnyOrigin
		var list []string
		for _, err := range problems(g.Validate()) {
			list = append(list, inYAML(err))
		}
		return list
	}
	for _, complaint := range complaints(all) {
		at := p
		for i := range all {
			without := slices.Delete(slices.Clone(all), i, i+1)
			if !slices.Contains(complaints(without), complaint) {
				at = p.with(i)
				break
			}
		}
		k.report(at, "%s", complaint)
	}
}

// nobody stands for the verifiers, which are not built here.
var nobody = usher.VerifierFunc(nil)

func guardOf(carriers []usher.Carrier) *usher.Guard { return &usher.Guard{Carriers: carriers} }

func carrierOf(c *Carrier) usher.Carrier {
	switch {
	case c.Ticket != nil:
		return usher.Ticket(c.Ticket.Param, &usher.Tickets{})
	case c.Subprotocol != nil:
		return usher.Subprotocol(nobody)
	case c.Cookie != nil && c.Cookie.CSRF:
		return usher.CookieCSRF(c.Cookie.Name, &usher.CSRF{}, nobody)
	case c.Cookie != nil:
		return usher.Cookie(c.Cookie.Name, nobody)
	case c.Query != nil:
		return usher.Query(c.Query.Param, nobody)
	case c.Bearer != nil:
		return usher.Bearer(nobody)
	case c.Basic != nil:
		return usher.Basic(nobody)
	case len(c.FirstMessage.Verify) == 0:
		return usher.FirstMessage(nil)
	}
	return usher.FirstMessage(nobody)
}

// own returns the paths of the public listener that are Usher's.
func (k *checker) own() []string {
	own := []string{"/usher/v1/", "/.well-known/jwks.json"}
	if k.config.Issuer != nil {
		own = append(own, "/oauth/", "/.well-known/oauth-authorization-server")
	}
	if k.config.Login != nil {
		own = append(own, "/auth/")
	}
	return own
}

// patterns asks a ServeMux whether the routes' paths are patterns, and can stand
// beside each other.
func (k *checker) patterns() {
	var good []int
	own := k.own()
	for i, r := range k.config.Routes {
		p := path{"routes", i, "path"}
		if r == nil || r.Path == "" || !k.reports.clean(p) {
			continue
		}
		switch why := register(patternsOf(r)); {
		case r.Path[0] != '/':
			k.report(p, "want a path such as /chat or /docs/{id}, without method and host")
		case why != "":
			k.report(p, "no pattern of http.ServeMux: %s", why)
		case !reachable(r.Path):
			k.report(p, "nobody can get there: paths with an empty element, \".\" or \"..\" are answered 400")
		case slices.ContainsFunc(own, func(o string) bool { return strings.HasPrefix(r.Path, o) }),
			register(append(slices.Clone(own), r.Path)) != "":
			k.report(p, "overlaps Usher's own paths, %s", oneOf(own, "and"))
		default:
			good = append(good, i)
		}
	}
	k.apart(good)
}

// apart reports routes, by their indices, that one ServeMux does not take.
func (k *checker) apart(routes []int) {
	mux := http.NewServeMux()
	for n, i := range routes {
		if registerAt(mux, patternsOf(k.config.Routes[i])) == "" {
			continue // Only who does not fit in is compared with each of the others.
		}
		for _, j := range routes[:n] {
			a, b := k.config.Routes[i], k.config.Routes[j]
			if register(append(patternsOf(a), patternsOf(b)...)) == "" {
				continue
			}
			what := "overlaps it, and neither is the narrower"
			if a.Path == b.Path {
				what = "is the same"
			}
			k.report(path{"routes", i, "path"}, "the path of routes[%d] %s", j, what)
			break
		}
	}
}

// patternsOf are what the route is registered as, one for each name.
func patternsOf(r *Route) []string {
	if len(r.Hosts) == 0 {
		return []string{r.Path}
	}
	var list []string
	for _, h := range r.Hosts {
		if p := strings.TrimSuffix(strings.ToLower(withoutPort(h)), ".") + r.Path; !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

// register returns why a ServeMux does not take the patterns, or "".
func register(patterns []string) string { return registerAt(http.NewServeMux(), patterns) }

// registerAt is register with a ServeMux that may have others, and has then all
// up to the one that it does not take. It says so by a panic.
func registerAt(mux *http.ServeMux, patterns []string) (why string) {
	defer func() {
		if r := recover(); r != nil {
			why = fmt.Sprint(r)
			if _, text, ok := strings.Cut(why, "at offset "); ok {
				why = "at offset " + text
			}
		}
	}()
	for _, p := range patterns {
		mux.Handle(p, http.NotFoundHandler())
	}
	return ""
}

func withoutPort(host string) string {
	if name, _, err := net.SplitHostPort(host); err == nil {
		if strings.Contains(name, ":") {
			return "[" + name + "]"
		}
		return name
	}
	return host
}

func sorted[K cmp.Ordered, V any](m map[K]V) []K { return slices.Sorted(maps.Keys(m)) }
