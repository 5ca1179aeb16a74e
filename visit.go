package usher

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// A visit is what is known of a request before its credential is looked at.
type visit struct {
	begun   time.Time
	upgrade bool         // A WebSocket handshake, and a correct one.
	strict  bool         // An upgrade, or an unsafe method.
	origin  string       // Allowed, or "" where the request has none.
	route   string       // What a ticket must have been made for.
	client  netip.Prefix // See clientNetwork.
}

// visit returns what is known of a request: see receive.
func (g *guardState) visit(r *http.Request) (*visit, error) {
	v := new(visit)
	return v, g.receive(v, r)
}

// receive decides what can be decided without a credential: whether the request
// is one that the Guard understands, the name it asks for, and its origin.
// Its error is a *Refusal that is always told in plain HTTP.
func (g *guardState) receive(v *visit, r *http.Request) error {
	v.begun = time.Now()
	addr, scheme := g.proxies.clientOf(r)
	v.client = clientNetwork(addr)
	if r.Host == "" || r.URL.User != nil {
		return plainRefusal(http.StatusBadRequest, 0, "bad_request", errors.New("no host, or a user in the URL"))
	}
	if !g.policy.serves(r.Host) {
		return plainRefusal(http.StatusMisdirectedRequest, 0, "misdirected", errHostRefused)
	}
	var err error
	if v.upgrade, err = isHandshake(r); err != nil {
		return err
	}
	// Not before: net/http makes the user of a CONNECT a part of the path.
	v.route = g.routeOf(r)
	v.strict = v.upgrade || !isSafe(r.Method)
	if v.origin, err = g.policy.check(r, scheme, v.strict); err != nil {
		return plainRefusal(http.StatusForbidden, 0, "origin", err)
	}
	return nil
}

// isHandshake reports whether r is a WebSocket handshake, and refuses whatever
// would be neither that nor a plain request: something behind the Guard might
// take it for one or the other.
func isHandshake(r *http.Request) (bool, error) {
	if r.Method == http.MethodConnect {
		// RFC 8441: here a WebSocket has no Upgrade header, and could be waved
		// through as if it were none.
		return false, plainRefusal(http.StatusNotImplemented, 0, "not_implemented", errors.New("CONNECT is not supported"))
	}
	upgrade := r.Header["Upgrade"]
	if len(upgrade) == 0 && !headerHas(r.Header["Connection"], "upgrade") {
		return false, nil
	}
	if len(upgrade) != 1 || !strings.EqualFold(upgrade[0], "websocket") {
		return false, plainRefusal(http.StatusNotImplemented, 0, "not_implemented", errors.New("upgrade to something other than websocket"))
	}
	if r.Method != http.MethodGet {
		return false, plainRefusal(http.StatusMethodNotAllowed, 0, "method_not_allowed", errors.New("upgrade of a method other than GET"))
	}
	version := r.Header["Sec-Websocket-Version"]
	if len(version) != 1 || version[0] != "13" {
		return false, plainRefusal(http.StatusUpgradeRequired, 0, "version", errors.New("websocket version other than 13"))
	}
	if !r.ProtoAtLeast(1, 1) || !headerHas(r.Header["Connection"], "upgrade") ||
		r.ContentLength != 0 || len(r.TransferEncoding) > 0 || !hasKey(r.Header) {
		return false, plainRefusal(http.StatusBadRequest, 0, "bad_handshake", errors.New("malformed websocket handshake"))
	}
	return true, nil
}

// hasKey reports whether h has exactly one key of 16 bytes (RFC 6455 §4.2.1).
func hasKey(h http.Header) bool {
	keys := h["Sec-Websocket-Key"]
	if len(keys) != 1 || len(keys[0]) != 24 {
		return false
	}
	raw, err := base64.StdEncoding.DecodeString(keys[0])
	return err == nil && len(raw) == 16
}

// headerHas reports whether the comma-separated values have the token.
func headerHas(values []string, token string) bool {
	for _, line := range values {
		for item := range strings.SplitSeq(line, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}

func isSafe(method string) bool {
	return method == http.MethodGet || method == http.MethodHead || method == http.MethodOptions
}

// routeOf names the route of r: the Guard's own name for it, the path of the
// ServeMux pattern that matched ("GET example.com/chat/{room}" is
// "/chat/{room}"), or the path.
func (g *guardState) routeOf(r *http.Request) string {
	if g.route != "" {
		return g.route
	}
	if i := strings.IndexByte(r.Pattern, '/'); i >= 0 {
		return r.Pattern[i:]
	}
	return r.URL.Path
}
