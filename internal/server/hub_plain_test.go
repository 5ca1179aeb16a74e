package server_test

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/gorilla/websocket"
)

// An API key is not taken where all on the way have seen it, however it comes, and
// tokens are; over TLS, from this machine, and where the operator says so it is.
func TestHubKeysInClear(t *testing.T) {
	const behind = "trusted_proxies: [127.0.0.0/8]\n" + hubbed
	g := start(t, behind)
	from := func(addr, scheme string, more ...string) http.Header {
		h := http.Header{"X-Forwarded-For": {addr}, "X-Forwarded-Proto": {scheme}}
		for i := 0; i < len(more); i += 2 {
			h.Set(more[i], more[i+1])
		}
		return h
	}
	key := "chat.full:" + secret
	wrapped := base64.StdEncoding.EncodeToString([]byte(key))
	signed := keyToken(t, "chat.full", nil)
	for _, way := range []struct{ name, query, authorization string }{
		{"key", "key=" + key, ""},
		{"as a token", "access_token=" + key, ""},
		{"as a token, too", "accessToken=" + key, ""},
		{"Basic", "", "Basic " + wrapped},
		{"Bearer", "", "bearer " + wrapped},
		{"Bearer as it is", "", "Bearer " + key},
	} {
		for _, tt := range []struct {
			name, addr, scheme string
			taken              bool
		}{
			{"in the clear", "192.0.2.1", "http", false},
			{"by no scheme", "192.0.2.1", "ws", false},
			{"from a network of ours", "10.0.0.1", "http", false},
			{"by IPv6", "2001:db8::1", "http", false},
			{"over TLS", "192.0.2.1", "https", true},
			{"from this machine", "::1", "http", true},
		} {
			h := from(tt.addr, tt.scheme)
			if way.authorization != "" {
				h.Set("Authorization", way.authorization)
			}
			action, code, status := connected, 0, http.StatusOK
			if !tt.taken {
				action, code, status = failed, 40103, http.StatusUnauthorized
			}
			c := mustDial(t, "ws://"+g.public+"/?"+way.query, h.Clone())
			says(t, c, action, code)
			_ = c.Close()
			res, body := do(t, http.MethodGet, "http://"+g.public+"/channels/a/messages?"+way.query, h, "")
			if res.StatusCode != status || !tt.taken && res.Header.Get("X-Ably-Errorcode") != "40103" {
				t.Errorf("%s %s: got %d %s, want %d", way.name, tt.name, res.StatusCode, body, status)
			}
			if strings.Contains(body, secret) {
				t.Errorf("%s %s: got the key in the answer", way.name, tt.name)
			}
		}
	}
	for name, c := range map[string]*websocket.Conn{
		"a token":   mustDial(t, "ws://"+g.public+"/?access_token="+signed, from("192.0.2.1", "http")),
		"no header": mustDial(t, "ws://"+g.public+"/?key="+key, nil),
	} {
		if w := next(t, c); w.Action != connected {
			t.Errorf("%s: got %+v, want it let in", name, w)
		}
	}
	if logs := g.logs.String(); strings.Contains(logs, secret) || !strings.Contains(logs, `msg="api key refused over plain HTTP" client=192.0.2.1/32`) {
		t.Error("got the key in the log, or not whose was refused")
	}
	open := start(t, strings.Replace(behind, "hub:\n", "hub:\n  insecure_plain_keys: true\n", 1))
	says(t, mustDial(t, "ws://"+open.public+"/?key="+key, from("192.0.2.1", "http")), connected, 0)
}

// Nor is it taken where a client sends it on its connection, in place of a token.
func TestHubKeysInClearInBand(t *testing.T) {
	const behind = "trusted_proxies: [127.0.0.0/8]\n" + hubbed
	g := start(t, behind)
	open := start(t, strings.Replace(behind, "hub:\n", "hub:\n  insecure_plain_keys: true\n", 1))
	key := "chat.full:" + secret
	for _, tt := range []struct {
		name, at, addr, scheme, token string
		action, code                  int
	}{
		{"in the clear", g.public, "192.0.2.1", "http", key, failed, 40103},
		{"in base64", g.public, "192.0.2.1", "http", base64.StdEncoding.EncodeToString([]byte(key)), failed, 40103},
		{"a wrong one", g.public, "192.0.2.1", "http", "chat.full:wrong", failed, 40103},
		{"a token", g.public, "192.0.2.1", "http", keyToken(t, "chat.full", nil), connected, 0},
		{"over TLS", g.public, "192.0.2.1", "https", key, connected, 0},
		{"from this machine", g.public, "127.0.0.1", "http", key, connected, 0},
		{"where the operator says so", open.public, "192.0.2.1", "http", key, connected, 0},
	} {
		h := http.Header{"X-Forwarded-For": {tt.addr}, "X-Forwarded-Proto": {tt.scheme}}
		c := mustDial(t, "ws://"+tt.at+"/?access_token="+keyToken(t, "chat.full", nil), h)
		says(t, c, connected, 0)
		tell(t, c, fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, tt.token))
		if w := next(t, c); w.Action != tt.action || w.Error.Code != tt.code {
			t.Errorf("%s: got %+v, want action %d and code %d", tt.name, w, tt.action, tt.code)
		}
	}
	if strings.Contains(g.logs.String(), secret) {
		t.Error("got the key in the log")
	}
}

// Those whose key was seen are told so within the bounds of all who are refused.
func TestHubKeysInClearAreBounded(t *testing.T) {
	g := start(t, "trusted_proxies: [127.0.0.0/8]\n"+hubbed)
	h := http.Header{"X-Forwarded-For": {"192.0.2.1"}, "X-Forwarded-Proto": {"http"}}
	refused := 0
	for range 30 {
		c, res, err := websocket.DefaultDialer.Dial("ws://"+g.public+"/?key=chat.full:"+secret, h)
		if err != nil {
			refused++
			continue
		}
		_ = res.Body.Close()
		t.Cleanup(func() { _ = c.Close() })
	}
	if refused < 5 {
		t.Errorf("got %d of 30 at once that were not told why, want those beyond 20", refused)
	}
}
