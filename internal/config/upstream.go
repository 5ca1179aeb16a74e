package config

import (
	"errors"
	"net"
	"net/url"
	"strconv"
	"strings"
)

// Upstreams are the servers behind a route: one or more.
type Upstreams []Upstream

// An Upstream is a WebSocket server behind the gateway.
type Upstream struct {
	// TLS says that it is one of wss.
	TLS bool
	// Network is "tcp" or "unix", and Address what to dial there: host:port, or
	// the name of a socket.
	Network, Address string
	// Host is what to put into the header Host: "localhost" for a socket.
	Host string
	// Path begins with a slash. What the route's wildcards matched is joined to
	// it.
	Path string
}

// String returns the upstream as a URL. Of the name of a socket, what has a
// meaning in URLs is escaped, which it is not where it is written.
func (u Upstream) String() string {
	switch {
	case u.Network == "unix":
		name := (&url.URL{Path: u.Address}).EscapedPath()
		return unixScheme + strings.ReplaceAll(name, ":", "%3A") + ":" + u.Path
	case u.TLS:
		return "wss://" + u.Host + u.Path
	}
	return "ws://" + u.Host + u.Path
}

const (
	unixScheme = "ws+unix://"
	// maxSocketName is what fits into a socket address of Linux, the shorter
	// ones of other systems aside.
	maxSocketName = 107
)

var (
	errNoUpstream   = errors.New("want a URL such as ws://127.0.0.1:9000/chat, wss://chat.internal/ or ws+unix:///run/app.sock:/chat")
	errUpstreamHTTP = errors.New("want ws:// for http://, and wss:// for https://")
	errUpstreamMore = errors.New("want an upstream without user name, query and fragment; a credential goes into upstream_headers")
	errSocketName   = errors.New("want a Unix socket as ws+unix:///run/app.sock:/path, with a name of at most 107 bytes")
)

func readUpstream(text, dir string) (Upstream, error) {
	if rest, ok := strings.CutPrefix(text, unixScheme); ok {
		return readSocket(rest, dir)
	}
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return Upstream{}, errNoUpstream
	case u.Scheme == "http" || u.Scheme == "https":
		return Upstream{}, errUpstreamHTTP
	case u.Scheme != "ws" && u.Scheme != "wss" || u.Hostname() == "" || u.Opaque != "":
		return Upstream{}, errNoUpstream
	case u.User != nil || u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return Upstream{}, errUpstreamMore
	}
	port := u.Port()
	if port == "" {
		port = map[string]string{"ws": "80", "wss": "443"}[u.Scheme]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || strings.HasSuffix(u.Host, ":") {
		return Upstream{}, errNoUpstream
	}
	return Upstream{
		TLS: u.Scheme == "wss", Network: "tcp", Address: net.JoinHostPort(u.Hostname(), port),
		Host: u.Host, Path: rooted(u.EscapedPath()),
	}, nil
}

func readSocket(rest, dir string) (Upstream, error) {
	name, path, _ := strings.Cut(rest, ":")
	u, err := url.Parse(rooted(path))
	if err != nil || name == "" || strings.ContainsRune(name, 0) || path != "" && path[0] != '/' {
		return Upstream{}, errSocketName
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" || u.Host != "" {
		return Upstream{}, errUpstreamMore
	}
	if name = inDirectory(name, dir); len(name) > maxSocketName {
		return Upstream{}, errSocketName
	}
	return Upstream{Network: "unix", Address: name, Host: "localhost", Path: rooted(u.EscapedPath())}, nil
}

func rooted(path string) string {
	if path == "" {
		return "/"
	}
	return path
}
