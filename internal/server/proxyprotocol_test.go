package server_test

import (
	"fmt"
	"strings"
	"testing"
)

func proxied(t testing.TB, trusted string) *gateway {
	return start(t, "proxy_protocol: true\ntrusted_proxies: ["+trusted+"]\n"+oneRoute(newBackend(t), "/chat"))
}

// TestProxyProtocol: what a trusted proxy says of a client is believed, and
// nobody else is.
func TestProxyProtocol(t *testing.T) {
	request := "GET /chat HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
	v1 := "PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n"
	v2 := "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc6\x33\x64\x07\x7f\x00\x00\x01\x12\x67\x00\x50"
	tests := []struct {
		name, trusted, text string
		want, client        string // Nothing is a connection that ends without an answer.
	}{
		{"version 1", "127.0.0.1", v1 + request, "HTTP/1.1 401", "client=198.51.100.7/32"},
		{"version 2", "127.0.0.1", v2 + request, "HTTP/1.1 401", "client=198.51.100.7/32"},
		{"no header from a proxy", "127.0.0.1", request, "", ""},
		{"version 1 of a stranger", "10.0.0.0/8", v1 + request, "HTTP/1.1 400", ""},
		{"version 2 of a stranger", "10.0.0.0/8", v2 + request, "HTTP/1.1 400", ""},
		{"no header of a stranger", "10.0.0.0/8", request, "HTTP/1.1 401", "client=127.0.0.1/32"},
		{
			"a forwarded address of a stranger", "10.0.0.0/8",
			strings.Replace(request, "Connection", "X-Forwarded-For: 198.51.100.7\r\nConnection", 1), "HTTP/1.1 401", "client=127.0.0.1/32",
		},
		{
			"a forwarded address behind the header", "127.0.0.1",
			v1 + strings.Replace(request, "Connection", "X-Forwarded-For: 192.0.2.1\r\nConnection", 1), "HTTP/1.1 401", "client=198.51.100.7/32",
		},
		{
			"a forwarded address of a client in the proxies' network", "127.0.0.1",
			strings.Replace(v1, "198.51.100.7", "127.0.0.1", 1) +
				strings.Replace(request, "Connection", "X-Forwarded-For: 198.51.100.7\r\nConnection", 1), "HTTP/1.1 401", "client=127.0.0.1/32",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := proxied(t, tt.trusted)
			answer := raw(t, g.public, tt.text)
			if tt.want == "" && strings.HasPrefix(answer, "HTTP/1.1 401") || !strings.HasPrefix(answer, tt.want) {
				t.Errorf("got %.100q, want %q", answer, tt.want)
			}
			if log := g.logs.String(); tt.client != "" && !strings.Contains(log, tt.client) {
				t.Errorf("got no %s in %s", tt.client, log)
			} else if tt.client == "" && strings.Contains(log, "198.51.100.7") {
				t.Errorf("a stranger's word was believed: %s", log)
			}
		})
	}
}

// Through a proxy that is trusted, WebSocket goes as ever.
func TestProxyProtocolTunnel(t *testing.T) {
	g := proxied(t, "127.0.0.1")
	answer := raw(t, g.public, "PROXY TCP4 198.51.100.7 127.0.0.1 4711 80\r\n"+fmt.Sprintf(
		"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: %s\r\n\r\n", bearer(t).Get("Authorization"))+
		"\x81\x82\x00\x00\x00\x00hi\x88\x80\x00\x00\x00\x00")
	if !strings.HasPrefix(answer, "HTTP/1.1 101") || !strings.Contains(answer, "\r\n\r\n\x81\x02hi\x88") {
		t.Errorf("got %q, want an echo and a goodbye", answer)
	}
}
