package demo

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func TestMaskShowsTheShape(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, got, want string }{
		{"target", maskTarget(&url.URL{Path: "/chat", RawQuery: "ticket=abc&try=x1&other=1"}), "/chat?ticket=‹3 characters›&try=x1&‹7 characters›"},
		{"subprotocols", maskSubprotocols("chat.v1, usher.bearer.abc,odd"), "chat.v1, usher.bearer.‹3 characters›, ‹3 characters›"},
		{"bearer", maskAuthorization("Bearer abc"), "Bearer ‹3 characters›"},
		{"another scheme", maskAuthorization("Digest abc"), "‹10 characters›"},
		{"cookies", maskCookies("theme=dark; session=abc; x"), "theme=dark; session=‹3 characters›; ‹1 characters›"},
		{"first message", maskMessage([]byte(`{"token":"abc","ack":true,"type":"auth","x":1}`)), `{"type": "auth", "ack": true, "token": "‹3 characters›", ‹1 more›}`},
		{"another message", maskMessage([]byte("hello?")), "‹6 characters›"},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %s, want %s", c.name, c.got, c.want)
		}
	}
	line, fields := maskAnswer([]byte("HTTP/1.1 101 Switching Protocols\r\nSet-Cookie: a=b\r\nSec-WebSocket-Protocol: chat.v1\r\n"))
	if line != "HTTP/1.1 101 Switching Protocols" || len(fields) != 1 || fields[0].Value != "chat.v1" {
		t.Errorf("answer: got %q %v, want its status and subprotocol", line, fields)
	}
}

// Wherever a secret stands in what a client sends, it is not shown.
func FuzzMask(f *testing.F) {
	for _, around := range [][2]string{{"", ""}, {"ticket=", "&x=1"}, {"a;b=", ";c"}, {"usher.ticket.", ", chat.v1"}, {"Bearer ", ""}, {`{"token":"`, `"}`}, {"%", "%zz"}} {
		f.Add(around[0], around[1])
	}
	const canary = "Canary8Canary8"
	f.Fuzz(func(t *testing.T, before, after string) {
		text := before + canary + after
		shown := map[string]string{
			"subprotocols":  maskSubprotocols(text),
			"authorization": maskAuthorization(text),
			"message":       maskMessage([]byte(text)),
			"csrf header":   maskHeaders("localhost", http.Header{"X-Csrf-Token": {text}})[1].Value,
		}
		// A cookie's name is shown, and so are the demo's own two parameters.
		if !strings.Contains(before, ";") && !strings.Contains(after, "=") {
			shown["cookie"] = maskCookies("session=" + text)
		}
		if !strings.Contains(before, "try=") && !strings.Contains(before, "route=") {
			shown["target"] = maskTarget(&url.URL{Path: "/chat", RawQuery: text})
		}
		for where, s := range shown {
			if strings.Contains(s, canary) {
				t.Errorf("%s: got the secret in %q", where, s)
			}
		}
	})
}
