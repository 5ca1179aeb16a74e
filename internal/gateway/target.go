package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/socket"
)

// A Target is one server behind a route. Its address is fixed here: nothing in
// a request can change where the gateway connects to.
type Target struct {
	network, address string
	direct           netip.AddrPort // The address, where it is one of TCP without TLS, and no name.
	tls              *tls.Config    // Nil without TLS.
	base             *url.URL       // Its path and query are the front of every request's.
	name             string
	transport        *http.Transport // For plain requests.
	timeout          time.Duration   // To connect for plain requests: its pool's.
}

// ParseTarget reads the address of a server: ws:// or wss:// with a host and
// optionally a port, a path and a query, or a Unix socket as
// ws+unix:///run/app.sock:/path. The configuration is for wss and may be nil.
func ParseTarget(text string, conf *tls.Config) (*Target, error) {
	u, err := url.Parse(text)
	if err != nil { // Which quotes the URL, and with it a password.
		return nil, errors.New("not a URL such as ws://127.0.0.1:9000/chat")
	}
	if u.User != nil || u.Fragment != "" {
		return nil, errors.New("a user or a fragment in an upstream: give a credential by upstream_headers")
	}
	t := &Target{network: "tcp", base: u, name: text}
	t.transport = newTransport(t)
	port := "80"
	switch u.Scheme {
	case "ws":
	case "wss":
		port = "443"
		t.tls = conf.Clone()
		if t.tls == nil {
			t.tls = &tls.Config{}
		}
		t.tls.MinVersion = max(t.tls.MinVersion, tls.VersionTLS12)
		t.tls.NextProtos = []string{"http/1.1"}
		if t.tls.ServerName == "" {
			t.tls.ServerName = u.Hostname()
		}
	case "ws+unix":
		if err := t.parseUnix(u); err != nil {
			return nil, err
		}
		return t, nil
	default:
		return nil, fmt.Errorf("scheme %q: want ws, wss or ws+unix", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("no host: want ws://host:port/path")
	}
	if u.Port() != "" {
		port = u.Port()
	}
	t.address = net.JoinHostPort(u.Hostname(), port)
	if addr, err := netip.ParseAddrPort(t.address); err == nil && t.tls == nil && addr.Addr().Zone() == "" && socket.Available {
		t.direct = netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
	}
	return t, nil
}

// parseUnix splits the socket's file name from the path of the request.
func (t *Target) parseUnix(u *url.URL) error {
	escaped, path, _ := strings.Cut(u.EscapedPath(), ":")
	file, err := url.PathUnescape(escaped)
	base, baseErr := url.Parse(path)
	if err != nil || baseErr != nil || u.Host != "" || !strings.HasPrefix(file, "/") || path != "" && !strings.HasPrefix(path, "/") {
		return errors.New("want ws+unix:///run/app.sock:/path")
	}
	t.network, t.address = "unix", file
	base.Scheme, base.Host, base.RawQuery = "ws", "localhost", u.RawQuery
	t.base = base
	return nil
}

// String returns the target as it was written.
func (t *Target) String() string { return t.name }

// greet connects and begins the handshake whose request is in g.out, for as long
// as ctx lasts. Its error is that there was no connection; what goes wrong once
// there is one is the handshake's.
func (t *Target) greet(ctx context.Context, g *greeting, connect time.Duration) (net.Conn, error) {
	if !t.direct.IsValid() {
		return t.dial(ctx, connect)
	}
	call := socket.Call{
		Addr: t.direct, Say: g.out, Hear: g.in[:], Connect: connect, Answer: g.timeout,
		Until: func(f func()) func() bool { return afterEnd(ctx, f) },
	}
	c, n, err := call.Dial()
	if c == nil {
		return nil, err
	}
	g.said, g.heard, g.failed = true, n, err
	return c, nil
}

// dial connects, with TLS where the target has it.
func (t *Target) dial(ctx context.Context, timeout time.Duration) (net.Conn, error) {
	parent := ctx
	ctx, cancel := context.WithTimeout(context.WithoutCancel(parent), timeout)
	defer cancel()
	defer afterEnd(parent, cancel)()
	c, err := (&net.Dialer{}).DialContext(ctx, t.network, t.address)
	if err != nil || t.tls == nil {
		return c, err
	}
	secure := tls.Client(c, t.tls)
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = c.Close()
		return nil, err
	}
	return secure, nil
}
