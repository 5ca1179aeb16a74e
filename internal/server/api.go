package server

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/observe"
)

// The paths of the admin API that are on both listeners.
const (
	connectionsPath = ownPrefix + "connections"
	revocationsPath = ownPrefix + "revocations"
	keysPath        = ownPrefix + "keys"
	explainPrefix   = ownPrefix + "explain/" // What follows is an explain id.
	keyPrefix       = keysPath + "/"         // What follows is the id of an API key.
)

// An api is the part of the admin API that programs of others may use as well:
// on the admin listener, and on the public one with an API key.
type api struct{ *kept }

// A caller is who calls: an API key, or somebody on this machine, who may do all.
type caller struct {
	key  engine.Key
	here bool
}

// A call is a request to the API: what it is about, and which of its things.
type call struct {
	about   string // The permission that it needs, and its name in metrics.
	id      string // From the path.
	methods map[string]operation
}

// An operation does what a call asks for.
type operation func(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error)

// find returns the call that a path is for.
func (a *api) find(path string) (call, bool) {
	c := call{}
	switch {
	case path == connectionsPath:
		c.about, c.methods = engine.MayConnections, map[string]operation{http.MethodGet: a.connections}
	case path == revocationsPath:
		c.about, c.methods = engine.MayRevocations, map[string]operation{http.MethodPost: a.revoke}
	case path == keysPath:
		c.about, c.methods = engine.MayKeys, map[string]operation{http.MethodGet: a.listKeys, http.MethodPost: a.createKey}
	case strings.HasPrefix(path, keyPrefix):
		c.about, c.id = engine.MayKeys, strings.TrimPrefix(path, keyPrefix)
		c.methods = map[string]operation{http.MethodPatch: a.changeKey, http.MethodDelete: a.removeKey}
	case strings.HasPrefix(path, explainPrefix):
		c.about, c.id = engine.MayExplain, strings.TrimPrefix(path, explainPrefix)
		c.methods = map[string]operation{http.MethodGet: a.explain}
	default:
		return call{}, false
	}
	return c, true
}

// public serves a call on the public listener: with an API key that may, and
// nobody else learns more than that it takes one.
func (a *api) public(w http.ResponseWriter, r *http.Request, c call) {
	key, err := a.key(r)
	if err != nil {
		a.strange(w, r, "public", c, err)
		return
	}
	a.serve(w, r, "public", c, caller{key: key})
}

// admin serves a call on the admin listener. Who is on this machine needs no key,
// and neither does who only looks up why a client was refused; one that is
// brought is judged all the same.
func (a *api) admin(w http.ResponseWriter, r *http.Request, c call) {
	if len(r.Header["Authorization"]) == 0 && (c.about == engine.MayExplain || isLocal(r)) {
		a.serve(w, r, "admin", c, caller{here: true})
		return
	}
	key, err := a.key(r)
	if err != nil {
		a.strange(w, r, "admin", c, err)
		return
	}
	a.serve(w, r, "admin", c, caller{key: key})
}

// key returns the API key that a request brings.
func (a *api) key(r *http.Request) (engine.Key, error) {
	sent := r.Header["Authorization"]
	if len(sent) == 0 {
		return engine.Key{}, usher.ErrNoCredential
	}
	scheme, text, _ := strings.Cut(sent[0], " ")
	if len(sent) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return engine.Key{}, engine.ErrKey
	}
	return a.engine.Keys().Verify(usher.NewSecret(strings.TrimLeft(text, " ")))
}

// strange answers who has no key: always the same, whatever there is.
func (a *api) strange(w http.ResponseWriter, r *http.Request, listener string, c call, err error) {
	a.log.Debug("api call refused", "listener", listener, "call", c.about, "client", clientOf(r), "error", err)
	a.metrics.Called(listener, c.about, "unauthenticated")
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeProblem(w, http.StatusUnauthorized, "this needs an API key: Authorization: Bearer usher_...")
}

// serve does what the call asks for if the caller may.
func (a *api) serve(w http.ResponseWriter, r *http.Request, listener string, c call, by caller) {
	got, err := a.do(w, r, c, by)
	if err != nil {
		got = a.denied(err)
	}
	if got.status >= http.StatusBadRequest {
		a.log.Debug("api call refused", "listener", listener, "call", c.about, "client", clientOf(r),
			"key_id", by.key.ID, "status", got.status, "error", err)
	}
	a.metrics.Called(listener, c.about, resultOf(got.status))
	switch {
	case got.body == nil:
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(got.status)
	case got.status >= http.StatusBadRequest:
		writeJSON(w, got.status, "application/problem+json", got.body)
	default:
		writeJSON(w, got.status, "application/json", got.body)
	}
}

func (a *api) do(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error) {
	if !by.here && !by.key.Allows(c.about) {
		return answer{}, denyf(http.StatusForbidden, "this API key may not: it lacks the permission %s", c.about)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	f := c.methods[method]
	if f == nil {
		w.Header().Set("Allow", allowed(c.methods))
		return answer{}, denyf(http.StatusMethodNotAllowed, "the method must be one of %s", allowed(c.methods))
	}
	if method != http.MethodGet && isOfPage(r) && !isJSON(r.Header) {
		return answer{}, denyf(http.StatusUnsupportedMediaType, "what changes something needs Content-Type: application/json")
	}
	return f(w, r, c, by)
}

func allowed(methods map[string]operation) string {
	var list []string
	for _, name := range []string{http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete} {
		if methods[name] == nil {
			continue
		}
		if list = append(list, name); name == http.MethodGet {
			list = append(list, http.MethodHead)
		}
	}
	return strings.Join(list, ", ")
}

// denied is what an error of a call is answered with. What the caller did not
// cause is logged, and not told.
func (a *api) denied(err error) answer {
	if d, ok := errors.AsType[*denial](err); ok {
		// It may quote what should have been somewhere else.
		return answer{d.status, newProblem(d.status, observe.Redact(d.detail))}
	}
	if errors.Is(err, usher.ErrUnavailable) {
		a.log.Warn("api call failed: the engine", "error", err)
		return answer{http.StatusServiceUnavailable, newProblem(http.StatusServiceUnavailable, "the engine cannot be reached or written to: try again")}
	}
	a.log.Error("api call failed", "error", err)
	return answer{http.StatusInternalServerError, newProblem(http.StatusInternalServerError, "")}
}

// resultOf is a status as a label.
func resultOf(status int) string {
	switch {
	case status < 400:
		return "ok"
	case status == http.StatusForbidden:
		return "forbidden"
	case status < 500:
		return "refused"
	}
	return "failed"
}

// isLocal reports whether a request comes from this machine, straight to an
// address of it: not by a proxy on this machine, as far as that can be seen.
func isLocal(r *http.Request) bool {
	for _, name := range []string{"Forwarded", "Via", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-Ip"} {
		if len(r.Header[name]) > 0 {
			return false
		}
	}
	host := strings.Trim(withoutPort(r.Host), "[]")
	if _, err := netip.ParseAddr(host); err != nil && !strings.EqualFold(host, "localhost") {
		return false // A name of admin_hosts is for others, and what a proxy passes on.
	}
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	if peer.Addr().Unmap().IsLoopback() {
		return true
	}
	own, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	if !ok {
		return false
	}
	at, err := netip.ParseAddrPort(own.String())
	return err == nil && at.Addr().Unmap() == peer.Addr().Unmap()
}

// clientOf is the address of who is connected, without its port.
func clientOf(r *http.Request) string {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return peer.Addr().Unmap().String()
}

// isOfPage reports whether a web page may have started a request: browsers say so
// of everything that changes something. A page's own must show that no form has
// sent it.
func isOfPage(r *http.Request) bool {
	return len(r.Header["Origin"]) > 0 || len(r.Header["Sec-Fetch-Site"]) > 0 || len(r.Header["Referer"]) > 0
}

// isForeign reports whether a request was started by a web page that is not of
// the listener's own: such a page can reach what listens on its user's machine.
func isForeign(r *http.Request) bool {
	for _, site := range r.Header["Sec-Fetch-Site"] {
		if site != "none" && site != "same-origin" {
			return true
		}
	}
	origins := r.Header["Origin"]
	return len(origins) > 1 || len(origins) == 1 && !strings.EqualFold(origins[0], "http://"+r.Host)
}
