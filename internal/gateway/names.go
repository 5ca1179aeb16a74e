package gateway

import (
	"bytes"
	"maps"
	"net/http"
	"slices"
	"strings"
)

// normal appends to b what a header name may become behind us: frameworks map it
// to variables in which everything but letters and digits is the same (CGI, WSGI,
// Rack), so that X_User and X.User arrive as X-User.
func normal(b []byte, name string) []byte {
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'A' && c <= 'Z':
			b = append(b, c+'a'-'A')
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
			b = append(b, c)
		default:
			b = append(b, '-')
		}
	}
	return b
}

// ownNames are the headers that only the gateway sets, in normal form.
type ownNames map[string]struct{}

// forwarding are the headers that say where a request came from, or what it
// asked for before somebody rewrote it: the gateway's word on every route. All
// that begins with X-Forwarded- is too.
var forwarding = []string{
	"Forwarded", "X-Forwarded", "Forwarded-For", "Forwarded-For-Ip", "X-Real-Ip", "Client-Ip", "X-Client-Ip", "X-Cluster-Client-Ip", "True-Client-Ip", "Cf-Connecting-Ip",
	"X-Original-Url", "X-Original-Uri", "X-Original-Host", "X-Rewrite-Url", "X-Scheme", "Front-End-Https",
}

var forwardedPrefix, webSocketPrefix = []byte("x-forwarded-"), []byte("sec-websocket-")

func newOwnNames(names ...string) ownNames {
	return newNames(append(names, forwarding...))
}

// newNames returns a set of names in normal form.
func newNames(names []string) map[string]struct{} {
	set := make(map[string]struct{}, len(names))
	for _, name := range names {
		set[string(normal(nil, name))] = struct{}{}
	}
	return set
}

// strips reports whether a client's header must not get behind us under this
// name: it is a spelling of the gateway's own, or another spelling than the true
// one of those that a message is framed by.
func (own ownNames) strips(name string) bool {
	var room [64]byte
	plain := normal(room[:0], name)
	if _, ours := own[string(plain)]; ours || bytes.HasPrefix(plain, forwardedPrefix) {
		return true
	}
	return framing(plain) && !strings.EqualFold(string(plain), name)
}

// strip removes what strips names from h.
func (own ownNames) strip(h http.Header) {
	for name := range h {
		if own.strips(name) {
			delete(h, name)
		}
	}
}

// framing reports whether a name in normal form is of a header that says what a
// message is and where it ends. Another spelling of it has no meaning here, and
// must have none behind.
func framing(plain []byte) bool {
	_, hop := hopsInNormalForm[string(plain)]
	return hop || bytes.HasPrefix(plain, webSocketPrefix)
}

// hopByHop are the headers of one connection (RFC 9110 §7.6.1), and those that
// the gateway writes itself in a handshake.
var hopByHop = map[string]bool{
	"Connection": true, "Proxy-Connection": true, "Keep-Alive": true, "Proxy-Authenticate": true, "Proxy-Authorization": true,
	"Te": true, "Trailer": true, "Transfer-Encoding": true, "Upgrade": true, "Http2-Settings": true, "Content-Length": true,
}

var hopsInNormalForm = newNames(slices.Collect(maps.Keys(hopByHop)))

// stripHops removes the headers of one connection from h, those too that it
// names itself.
func stripHops(h http.Header) {
	for _, name := range named(h["Connection"]) {
		h.Del(name)
	}
	for name := range hopByHop {
		delete(h, name)
	}
}

// named lists what a Connection header names, but for what is of one connection
// anyway.
func named(connection []string) []string {
	var names []string
	for _, line := range connection {
		for name := range strings.SplitSeq(line, ",") {
			if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name != "" && !hopByHop[name] {
				names = append(names, name)
			}
		}
	}
	return names
}
