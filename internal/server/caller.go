package server

import (
	"errors"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
)

// A caller is who calls: an API key, or somebody on this machine, who may do all.
type caller struct {
	key   engine.Key
	local bool
}

// may reports whether the caller has a permission.
func (by caller) may(permission string) bool { return by.local || by.key.Allows(permission) }

// key returns the API key that a request brings.
func (a *api) key(r *http.Request) (engine.Key, error) {
	sent := r.Header["Authorization"]
	if len(sent) == 0 {
		return engine.Key{}, usher.ErrNoCredential
	}
	scheme, text, _ := strings.Cut(sent[0], " ")
	if len(sent) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return engine.Key{}, engine.ErrBadKey
	}
	return a.engine.Keys().Verify(usher.NewSecret(strings.TrimLeft(text, " ")))
}

// unauthenticated answers who has no key: always the same, whatever there is.
// Those who try one after the other are told so less and less.
func (a *api) unauthenticated(w http.ResponseWriter, r *http.Request, listener string, c call, err error) {
	if errors.Is(err, engine.ErrBadKey) {
		if wait := a.guesses.Wrong(guessedKey(r), a.address(r)); wait > 0 {
			a.metrics.Called(listener, c.permission, "unauthenticated")
			w.Header().Set("Retry-After", strconv.FormatInt(int64((wait+time.Second-1)/time.Second), 10))
			writeProblem(w, http.StatusTooManyRequests, "too many API keys that are not valid, of which this is one")
			return
		}
	}
	a.log.Debug("api call refused", "listener", listener, "call", c.permission, "client", a.address(r), "error", err)
	a.metrics.Called(listener, c.permission, "unauthenticated")
	w.Header().Set("WWW-Authenticate", "Bearer")
	writeProblem(w, http.StatusUnauthorized, "this needs an API key: Authorization: Bearer usher_...")
}

// guessedKey is the id of the API key that a request brings, or seems to.
func guessedKey(r *http.Request) string {
	_, text, _ := strings.Cut(r.Header.Get("Authorization"), " usher_")
	id, _, _ := strings.Cut(text, "_")
	return id
}

// isLocal reports whether a request comes from this machine, straight to an
// address of it: not by a proxy on this machine, as far as that can be seen.
func isLocal(r *http.Request) bool {
	if !r.ProtoAtLeast(1, 1) {
		return false // What proxies speak that were not told otherwise, and no client of ours.
	}
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
