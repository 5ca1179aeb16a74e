package gateway

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// written is what an upstream reads of the head that is made of a request, as
// alice's, and what the route would say in a plain request.
func written(t testing.TB, rt *Route, base, request string) (got *http.Request, o offer, plain http.Header) {
	t.Helper()
	rt.Guard = &usher.Guard{Log: slog.New(slog.DiscardHandler), Carriers: []usher.Carrier{
		usher.Bearer(usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{Subject: "alice\r\nX-Evil: 1", Issuer: "test"}, nil
		})),
	}}
	b, ok := rt.Handler().(*behind)
	if !ok {
		t.Fatal("the handler is no behind")
	}
	target, err := ParseTarget(base, nil)
	if err != nil {
		t.Fatal(err)
	}
	in, err := http.ReadRequest(bufio.NewReader(strings.NewReader(request)))
	if err != nil {
		t.Fatal(err)
	}
	in.RemoteAddr, in.Pattern = "192.0.2.1:1234", "/"
	h := rt.Guard.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var out text
		if o, err = b.request(&out, r, target, "", "key"); err != nil {
			return
		}
		if got, err = http.ReadRequest(bufio.NewReader(strings.NewReader(string(out)))); err != nil {
			t.Errorf("the head %q: %v", out, err)
		}
		plain = maps.Clone(r.Header)
		if err := b.headers(plain, r, target); err != nil {
			t.Error(err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), in)
	return got, o, plain
}

// TestHandshakeHasHeadersOfPlainRequest: what gets behind us in a handshake is
// what gets there in a plain request, and what makes it a handshake.
func TestHandshakeHasHeadersOfPlainRequest(t *testing.T) {
	rt := &Route{
		Pattern: "/", Cookies: []string{"session"}, AllowSetCookie: true,
		Identity:        Identity{Headers: map[string]string{"x-user": "sub", "X-Team": "team"}},
		UpstreamHeaders: http.Header{"x-api-key": {"a", "b\r\nX-Evil: 1"}},
	}
	got, o, plain := written(t, rt, "ws://h/base?v=1", "GET /?a=%20;b HTTP/1.1\r\nHost: [fe80::1%25en0]:80\r\n"+strings.Join([]string{
		"Authorization: Bearer x", "Connection: keep-alive, Upgrade, X-Hop, sec-websocket-foo", "Upgrade: websocket", "Sec-WebSocket-Version: 13",
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==", "X-Hop: 1", "Sec-WebSocket-Foo: 1", "Sec-WebSocket-Bar: 2", "Sec_WebSocket_Protocol: evil",
		"Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: soap", "Sec-WebSocket-Extensions: permessage-deflate; x", "Te: trailers", "Keep-Alive: 1",
		"X_User: mallory", "X.API.Key: c", "X-Forwarded-For: 1.1.1.1", "x_forwarded_foo: 1", "Forwarded: for=x", "Cookie: a=b; session=x; c=d",
		"Cookie: session=y", "User-Agent: one", "X-Many: 1", "X-Many: 2", "X-Text: \xc3\xa4",
	}, "\r\n")+"\r\n\r\n")
	if got == nil {
		t.Fatal("got no request")
	}
	if got.RequestURI != "/base?v=1&a=%20;b" || got.Host != "[fe80::1]:80" {
		t.Errorf("got %s of %s", got.RequestURI, got.Host)
	}
	want := maps.Clone(plain)
	want["Connection"], want["Upgrade"] = []string{"Upgrade"}, []string{"websocket"}
	want["Sec-Websocket-Key"], want["Sec-Websocket-Version"] = []string{"key"}, []string{"13"}
	want["X-Api-Key"] = []string{"a", "b  X-Evil: 1"} // As net/http writes it.
	if !reflect.DeepEqual(got.Header, want) {
		t.Errorf("got  %q\nwant %q", got.Header, want)
	}
	if !reflect.DeepEqual(o, offer{[]string{"chat, soap"}, []string{"permessage-deflate; x"}}) {
		t.Errorf("got the offer %q", o)
	}
}

// What Connection names is not offered, and a query that could end the line is an
// error.
func TestHandshakeOffersWhatItSends(t *testing.T) {
	_, o, _ := written(t, &Route{Pattern: "/"}, "ws://h", "GET / HTTP/1.1\r\nHost: h\r\nAuthorization: Bearer x\r\nUpgrade: websocket\r\n"+
		"Connection: Upgrade, sec-websocket-protocol, Sec-WebSocket-Extensions\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n")
	if o.subprotocols != nil || o.extensions != nil {
		t.Errorf("got the offer %q, want none", o)
	}
	target, err := ParseTarget("ws://h", nil)
	if err != nil {
		t.Fatal(err)
	}
	b, in := &behind{Route: &Route{}}, &http.Request{URL: &url.URL{Path: "/", RawQuery: "a HTTP/1.1\r\nX: y"}}
	if _, err := b.request(new(text), in, target, "", "key"); !errors.Is(err, errQuery) {
		t.Errorf("got %v, want errQuery", err)
	}
}

// Hosts that net/http writes are written as it does.
func TestHostOnly(t *testing.T) {
	for host, want := range map[string]string{
		"x.test:80": "x.test:80", "[::1]": "[::1]", "[fe80::1%en0]:80": "[fe80::1]:80", "[a%b%c]": "[a%b]", "a%b": "a%b",
		"": "", "a/b": "", "a b": "", "a\r\nX: y": "", "b\xc3\xbccher": "", "!$&'()*+,;=_~": "!$&'()*+,;=_~",
	} {
		if got := hostOnly(host); got != want {
			t.Errorf("%q: got %q, want %q", host, got, want)
		}
		var std strings.Builder
		req := &http.Request{Host: host, URL: &url.URL{Host: "h", Path: "/"}, Header: http.Header{}}
		if host == "" || strings.Contains(host, "\xc3") { // net/http takes that of the URL, or writes punycode.
			continue
		}
		if err := req.Write(&std); err != nil || !strings.Contains(std.String(), "\r\nHost: "+want+"\r\n") {
			t.Errorf("%q: net/http writes %q, %v, want %q", host, std.String(), err, want)
		}
	}
}

// FuzzJoin: an upstream reads the path and the query that join has joined.
func FuzzJoin(f *testing.F) {
	f.Add("ws://h/base?v=1", "a%2Fb/c", "x=y&z")
	f.Add("ws://h", "", "")
	f.Add("ws://h/%2F/?", "", "?")
	f.Fuzz(func(t *testing.T, base, path, query string) {
		target, err := ParseTarget(base, nil)
		u, inErr := url.ParseRequestURI("/" + path + "?" + query)
		if err != nil || inErr != nil || target.network != "tcp" {
			return
		}
		tail, err := newPathRule("/").tail(u)
		if err != nil {
			return
		}
		got, whole := join(target.base, tail, u.RawQuery)
		if want := joinURL(target.base, tail, u.RawQuery).RequestURI(); got+whole != want {
			t.Errorf("%s, %s: got %s, want %s", base, tail, got+whole, want)
		}
	})
}
