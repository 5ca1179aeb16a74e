package usher

import (
	"net/http"
	"slices"
	"strings"
)

// corsHeaders are what pages may send to the desk, and what of it is not
// simple.
const corsHeaders = "authorization, content-type, x-requested-with, x-csrf-token"

// cors lets the pages of a Guard's origins read what an endpoint of our own
// answers, refusals included. It stands in front of the Guard, since a
// preflight carries no credential (Fetch §3.3.5) and is answered here; every
// other request goes on to the Guard, which decides.
type cors struct {
	guard   *guardState
	methods []string
	allow   string
	ambient bool
	next    http.Handler
}

func newCORS(g *Guard, next http.Handler, methods ...string) *cors {
	return &cors{
		guard:   g.compile(),
		methods: methods,
		allow:   strings.Join(append(slices.Clone(methods), http.MethodOptions), ", "),
		ambient: slices.ContainsFunc(g.Carriers, func(c Carrier) bool { return c.ambient() }),
		next:    next,
	}
}

func (c *cors) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Add("Vary", "Origin")
	// No page may embed the answer; those that are allowed to read it ask with
	// CORS, which this does not touch.
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	origin, ok := c.guard.allowedOrigin(r)
	if ok && origin != "" {
		h.Set("Access-Control-Allow-Origin", origin)
		if c.ambient {
			h.Set("Access-Control-Allow-Credentials", "true")
		}
	}
	switch {
	case !ok:
		// The Guard would let a safe method pass, for its Handler to answer
		// what no page can read. There is nothing here to be had that way.
		v, err := c.guard.visit(r)
		if err == nil {
			err = plainRefusal(http.StatusForbidden, 0, "origin", refusedOrigin(strings.Join(r.Header["Origin"], ", ")))
		}
		c.guard.refuse(w, r, v, nil, asRefusal(err))
	case r.Method == http.MethodOptions:
		c.preflight(w)
	case !slices.Contains(c.methods, r.Method):
		h.Set("Allow", c.allow)
		(&problem{http.StatusMethodNotAllowed, "the method must be " + strings.Join(c.methods, " or ")}).write(w)
	default:
		c.next.ServeHTTP(w, r)
	}
}

func (c *cors) preflight(w http.ResponseWriter) {
	h := w.Header()
	h.Set("Allow", c.allow)
	if h.Get("Access-Control-Allow-Origin") != "" {
		h.Set("Access-Control-Allow-Methods", strings.Join(c.methods, ", "))
		h.Set("Access-Control-Allow-Headers", corsHeaders)
		h.Set("Access-Control-Max-Age", "600")
	}
	w.WriteHeader(http.StatusNoContent)
}

// allowedOrigin returns the Origin of r, or "" where it has none, and whether
// pages of it may come in.
func (g *guardState) allowedOrigin(r *http.Request) (string, bool) {
	switch values := r.Header["Origin"]; len(values) {
	case 0:
		return "", true
	case 1:
		return values[0], g.allowsOrigin(r, values[0])
	}
	return "", false
}

// allowsOrigin reports whether pages of origin may come in, at the name that r
// asks for.
func (g *guardState) allowsOrigin(r *http.Request, origin string) bool {
	_, scheme := g.proxies.clientOf(r)
	return g.policy.allows(origin, scheme, r.Host)
}
