package server

import (
	"errors"
	"net/http"
	"net/netip"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/issuer"
	"github.com/usher-ws/usher/internal/observe"
)

// The paths of the admin API that are on both listeners.
const (
	connectionsPath = ownPrefix + "connections"
	revocationsPath = ownPrefix + "revocations"
	keysPath        = ownPrefix + "keys"
	explainPrefix   = ownPrefix + "explain/" // What follows is an explain id.
	keyPrefix       = keysPath + "/"         // What follows is the id of an API key.
	rotateSuffix    = "/rotate"              // Of the path of an API key.
	signingPath     = ownPrefix + "signing-keys"
	signingPrefix   = signingPath + "/" // What follows is the id of a signing key.
	appsPath        = ownPrefix + "apps"
	appsPrefix      = appsPath + "/" // What follows is the id of an app, and perhaps keys and the id of one.
)

// An api is the part of the admin API that programs of others may use as well:
// on the admin listener, and on the public one with an API key.
type api struct {
	*kept
	address func(*http.Request) netip.Addr // Of a request's client.
	issuer  *issuer.Issuer                 // Nil without one.
}

// A call is a request to the API: what it needs, and which thing it is about.
type call struct {
	permission string // That it needs, and its name in metrics.
	id         string // From the path.
	app        string // The app that id is a key of.
	methods    map[string]operation
}

// An operation does what a call asks for.
type operation func(w http.ResponseWriter, r *http.Request, c call, by caller) (answer, error)

// find returns the call that a path is for.
func (a *api) find(path string) (call, bool) {
	c := call{}
	switch {
	case path == connectionsPath:
		c.permission, c.methods = engine.MayConnections, map[string]operation{http.MethodGet: a.connections}
	case path == revocationsPath:
		c.permission, c.methods = engine.MayRevocations, map[string]operation{http.MethodPost: a.revoke}
	case path == keysPath:
		c.permission, c.methods = engine.MayKeys, map[string]operation{http.MethodGet: a.listKeys, http.MethodPost: a.createKey}
	case strings.HasPrefix(path, keyPrefix):
		c.permission, c.id = engine.MayKeys, strings.TrimPrefix(path, keyPrefix)
		c.methods = map[string]operation{http.MethodPatch: a.changeKey, http.MethodDelete: a.removeKey}
		if id, ok := strings.CutSuffix(c.id, rotateSuffix); ok {
			c.id, c.methods = id, map[string]operation{http.MethodPost: a.rotateKey}
		}
	case path == signingPath:
		c.permission = engine.MaySigning
		c.methods = map[string]operation{http.MethodGet: a.listSigning, http.MethodPost: a.rotateSigning}
	case strings.HasPrefix(path, signingPrefix):
		c.permission, c.id = engine.MaySigning, strings.TrimPrefix(path, signingPrefix)
		c.methods = map[string]operation{http.MethodDelete: a.removeSigning}
	case strings.HasPrefix(path, explainPrefix):
		c.permission, c.id = engine.MayExplain, strings.TrimPrefix(path, explainPrefix)
		c.methods = map[string]operation{http.MethodGet: a.explain}
	default:
		return a.findApps(path)
	}
	return c, true
}

// findApps is find for the apps of the hub.
func (a *api) findApps(path string) (call, bool) {
	c := call{permission: engine.MayApps}
	rest, below := strings.CutPrefix(path, appsPrefix)
	app, keys, ofApp := strings.Cut(rest, "/")
	key, one := strings.CutPrefix(keys, "keys/")
	switch {
	case path == appsPath:
		c.methods = map[string]operation{http.MethodGet: a.listApps, http.MethodPost: a.createApp}
	case !below:
		return call{}, false
	case !ofApp:
		c.id, c.methods = app, map[string]operation{http.MethodGet: a.showApp, http.MethodPatch: a.changeApp, http.MethodDelete: a.removeApp}
	case keys == "keys":
		c.app, c.methods = app, map[string]operation{http.MethodGet: a.listAppKeys, http.MethodPost: a.createAppKey}
	case one:
		c.app, c.id = app, key
		c.methods = map[string]operation{http.MethodGet: a.showAppKey, http.MethodPatch: a.changeAppKey, http.MethodDelete: a.removeAppKey}
		if id, ok := strings.CutSuffix(key, rotateSuffix); ok {
			c.id, c.methods = id, map[string]operation{http.MethodPost: a.rotateAppKey}
		}
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
		a.unauthenticated(w, r, "public", c, err)
		return
	}
	a.serve(w, r, "public", c, caller{key: key})
}

// admin serves a call on the admin listener. Who is on this machine needs no key;
// one that is brought is judged all the same.
func (a *api) admin(w http.ResponseWriter, r *http.Request, c call) {
	if len(r.Header["Authorization"]) == 0 && isLocal(r) {
		a.serve(w, r, "admin", c, caller{local: true})
		return
	}
	key, err := a.key(r)
	if err != nil {
		a.unauthenticated(w, r, "admin", c, err)
		return
	}
	a.serve(w, r, "admin", c, caller{key: key})
}

// serve does what the call asks for if the caller may.
func (a *api) serve(w http.ResponseWriter, r *http.Request, listener string, c call, by caller) {
	got, err := a.do(w, r, c, by)
	if err != nil {
		got = a.denied(err)
	}
	if got.status >= http.StatusBadRequest {
		a.log.Debug("api call refused", "listener", listener, "call", c.permission, "client", a.address(r),
			"key_id", by.key.ID, "status", got.status, "error", err)
	}
	a.metrics.Called(listener, c.permission, resultOf(got.status))
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
	if !by.may(c.permission) {
		return answer{}, denyf(http.StatusForbidden, "this API key may not: it lacks the permission %s", c.permission)
	}
	method := r.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	f := c.methods[method]
	if f == nil {
		list := allowed(c.methods)
		w.Header().Set("Allow", list)
		return answer{}, denyf(http.StatusMethodNotAllowed, "the method must be %s", strings.ReplaceAll(list, ", ", " or "))
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
		const detail = "the engine cannot be reached or written to: try again"
		return answer{http.StatusServiceUnavailable, newProblem(http.StatusServiceUnavailable, detail)}
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
