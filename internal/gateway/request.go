package gateway

import (
	"errors"
	"net/http"
	"slices"
	"strings"
)

// A text is the head of a message, as it is written. In a handshake no map is made
// on the way to it, which would be more work than all else of it.
type text []byte

// line appends a line that is made of parts.
func (t *text) line(parts ...string) {
	for _, part := range parts {
		*t = append(*t, part...)
	}
	*t = append(*t, "\r\n"...)
}

// field appends a header. A line break in its value, which no client can send,
// becomes a space: one value is one line.
func (t *text) field(name, value string) {
	if strings.IndexByte(value, '\n') >= 0 || strings.IndexByte(value, '\r') >= 0 {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	t.line(name, ": ", value)
}

// An offer is what a handshake offers to the upstream, as it stands in its head.
type offer struct{ subprotocols, extensions []string }

// A requestError is why no handshake can be made of a client's, at any target.
type requestError struct{ error }

// Unwrap is for package errors.
func (e *requestError) Unwrap() error { return e.error }

// errQuery: net/http lets no such query in.
var errQuery = errors.New("query with a space or a control character")

// request writes the head of a handshake with the upstream (RFC 6455 §4.1) for
// that of a client, and says what it offers.
func (b *behind) request(out *text, in *http.Request, t *Target, tail, key string) (offer, error) {
	path, query := join(t.base, tail, in.URL.RawQuery)
	if strings.ContainsFunc(query, func(c rune) bool { return c <= ' ' || c == 0x7f }) { // A path is escaped.
		return offer{}, errQuery
	}
	out.line("GET ", path, query, " HTTP/1.1")
	out.field("Host", hostOnly(b.host(in)))
	o := b.forward(out, in.Header)
	if err := b.say(in, t, out.field); err != nil {
		return o, err
	}
	for name, values := range b.fixed {
		for _, value := range values {
			out.field(name, value)
		}
	}
	out.line("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ", key, "\r\n")
	return o, nil
}

// forward writes the headers of a client's handshake that may get behind us: as
// headers does for other requests, but for those that every handshake has anew.
func (b *behind) forward(out *text, in http.Header) (o offer) {
	also := named(in["Connection"])
	for name, values := range in {
		if hopByHop[name] || b.own.strips(name) || slices.Contains(also, name) {
			continue
		}
		switch name {
		case "Host", "Sec-Websocket-Key", "Sec-Websocket-Version":
			continue
		case "User-Agent":
			if len(values) == 0 || values[0] == "" {
				continue
			}
			values = values[:1]
		case "Cookie":
			values = keptCookies(values, b.Cookies)
		case "Sec-Websocket-Protocol":
			o.subprotocols = values
		case "Sec-Websocket-Extensions":
			o.extensions = values
		}
		for _, value := range values {
			out.field(name, value)
		}
	}
	return o
}

// hostOnly returns a host as it can stand in a request: without the zone of an
// address, which says nothing to others (RFC 6874 §1), and empty where it is
// none, as a URL in a request's first line may have it.
func hostOnly(host string) string {
	if end := strings.LastIndexByte(host, ']'); end > 0 && host[0] == '[' {
		if at := strings.LastIndexByte(host[:end], '%'); at > 0 {
			host = host[:at] + host[end:]
		}
	}
	for i := range len(host) {
		if host[i] <= ' ' || host[i] >= 0x7f || strings.IndexByte("\"#/<>?@\\^`{|}", host[i]) >= 0 {
			return ""
		}
	}
	return host
}
