package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// normal is what a header name may become behind us: frameworks map it to
// variables in which everything but letters and digits is the same (CGI, WSGI,
// Rack), so that X_User and X.User arrive as X-User.
func normal(name string) string {
	b := []byte(name)
	for i, c := range b {
		switch {
		case c >= 'A' && c <= 'Z':
			b[i] = c + 'a' - 'A'
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9':
		default:
			b[i] = '-'
		}
	}
	return string(b)
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

const forwardedPrefix = "x-forwarded-"

func newOwnNames(names ...string) ownNames {
	own := make(ownNames)
	for _, list := range [][]string{forwarding, names} {
		for _, name := range list {
			own[normal(name)] = struct{}{}
		}
	}
	return own
}

// strip removes every spelling of them from h, and every spelling but the true
// one of the headers that a message is framed by.
func (own ownNames) strip(h http.Header) {
	for name := range h {
		plain := normal(name)
		_, ours := own[plain]
		if ours || strings.HasPrefix(plain, forwardedPrefix) || framing(plain) && !strings.EqualFold(plain, name) {
			delete(h, name)
		}
	}
}

// framing reports whether a name in normal form is of a header that says what a
// message is and where it ends. Another spelling of it has no meaning here, and
// must have none behind.
func framing(plain string) bool {
	return strings.HasPrefix(plain, "sec-websocket-") || slices.ContainsFunc(hopByHop, func(hop string) bool {
		return strings.EqualFold(hop, plain)
	})
}

// hopByHop are the headers of one connection (RFC 9110 §7.6.1), and those that
// the gateway writes itself in a handshake.
var hopByHop = []string{
	"Connection", "Proxy-Connection", "Keep-Alive", "Proxy-Authenticate", "Proxy-Authorization",
	"Te", "Trailer", "Transfer-Encoding", "Upgrade", "Http2-Settings", "Content-Length",
}

// stripHops removes the headers of one connection from h, those too that it
// names itself.
func stripHops(h http.Header) {
	for _, line := range h["Connection"] {
		for name := range strings.SplitSeq(line, ",") {
			h.Del(strings.TrimSpace(name))
		}
	}
	for _, name := range hopByHop {
		delete(h, name)
	}
}
