package usher

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
)

// maxOrigin bounds the Origin header: a scheme, a host name of at most 253
// bytes and a port fit in well under it.
const maxOrigin = 512

var (
	errOriginRefused = errors.New("origin not allowed")
	errCrossSite     = errors.New("cross-site request")
	errHostRefused   = errors.New("host not served here")
)

// validateOrigin says why text is no serialized origin (RFC 6454 §6.2): a
// scheme, a host in lower case and a port unless it is the scheme's own.
// Browsers send nothing else, so whatever is not exactly of that form is an
// error, "null" included.
func validateOrigin(text string) error {
	if len(text) > maxOrigin {
		return errors.New("origin too long")
	}
	scheme, host, ok := strings.Cut(text, "://")
	if !ok || !isScheme(scheme) {
		return fmt.Errorf("no origin, such as https://app.example.com: %q", text)
	}
	if canonical := canonicalHost(scheme, host); canonical == "" || canonical != host {
		return fmt.Errorf("not a serialized origin, such as https://app.example.com: %q", text)
	}
	return nil
}

// canonicalHost returns host[:port] in lower case and without the port that is
// the scheme's own, or "" if it is no host.
func canonicalHost(scheme, host string) string {
	name, port := host, ""
	if i := strings.LastIndexByte(host, ':'); i >= 0 && i > strings.LastIndexByte(host, ']') {
		name, port = host[:i], host[i+1:]
		if !isPort(port) {
			return ""
		}
	}
	name = strings.ToLower(name)
	if !isHostName(name) {
		return ""
	}
	if port == "" || port == defaultPort(scheme) {
		return name
	}
	return name + ":" + port
}

func defaultPort(scheme string) string {
	switch scheme {
	case "https", "wss":
		return "443"
	case "http", "ws":
		return "80"
	}
	return ""
}

func isScheme(s string) bool {
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789+-.") == ""
}

func isPort(s string) bool {
	if s == "" || len(s) > 5 || s[0] == '0' {
		return false
	}
	return strings.Trim(s, "0123456789") == "" && (len(s) < 5 || s <= "65535")
}

// isHostName accepts what a URL's host may look like after parsing: a name in
// ASCII (IDN as punycode), an IPv4 address or an IPv6 address in brackets.
func isHostName(s string) bool {
	if inner, ok := strings.CutPrefix(s, "["); ok {
		inner, ok = strings.CutSuffix(inner, "]")
		return ok && strings.Contains(inner, ":") && net.ParseIP(inner) != nil
	}
	if s == "" || len(s) > 255 {
		return false
	}
	return strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-._") == ""
}

// An originPolicy says which pages may come in, and under which names. It is
// built once for a Guard.
type originPolicy struct {
	listed map[string]struct{}
	any    bool
	hosts  map[string]struct{}
}

func newOriginPolicy(g *Guard) originPolicy {
	p := originPolicy{listed: make(map[string]struct{}), any: g.InsecureAnyOrigin}
	for _, o := range g.Origins {
		p.listed[o] = struct{}{}
	}
	if len(g.Hosts) > 0 {
		p.hosts = make(map[string]struct{})
	}
	for _, h := range g.Hosts {
		p.hosts[strings.ToLower(h)] = struct{}{}
	}
	return p
}

// serves reports whether host, as a request names it, is one of the Guard's
// names.
func (p *originPolicy) serves(host string) bool {
	if p.hosts == nil {
		return true
	}
	host = strings.ToLower(host)
	if _, ok := p.hosts[host]; ok {
		return true
	}
	u := url.URL{Host: host}
	_, ok := p.hosts[strings.TrimSuffix(host, ":"+u.Port())]
	return ok
}

// allows reports whether pages of origin may come in by a request for host that
// was made by scheme, "http" or "https". It is the one place that decides so.
func (p *originPolicy) allows(origin, scheme, host string) bool {
	return validateOrigin(origin) == nil && (p.lists(origin) || origin == scheme+"://"+canonicalHost(scheme, host))
}

// lists reports whether origin may come in whatever host it asks for.
func (p *originPolicy) lists(origin string) bool {
	_, ok := p.listed[origin]
	return ok || p.any
}

// refusedOrigin says which origin was refused, since that is what an operator
// has to list, or to wonder about.
func refusedOrigin(origin string) error {
	if err := validateOrigin(origin); err != nil {
		return err
	}
	return fmt.Errorf("%w: %s is not listed, and not the request's own", errOriginRefused, origin)
}

// check decides on a request's Origin. It returns the origin, or "" where
// there is none, as with a client that is not a browser. The scheme is the
// request's own, "http" or "https"; strict says that it is an upgrade or has
// an unsafe method.
func (p *originPolicy) check(r *http.Request, scheme string, strict bool) (string, error) {
	values := r.Header["Origin"]
	crossSite := r.Header.Get("Sec-Fetch-Site") == "cross-site"
	if len(values) == 0 {
		if crossSite {
			return "", errCrossSite
		}
		return "", nil
	}
	origin, err := values[0], error(nil)
	switch {
	case len(values) > 1:
		err = errors.New("more than one origin")
	case p.allows(origin, scheme, r.Host) && (p.lists(origin) || !crossSite):
		return origin, nil
	default:
		err = refusedOrigin(origin)
	}
	if !strict && !crossSite {
		return "", nil // A page can send it anyway, and cannot read the answer.
	}
	return "", err
}
