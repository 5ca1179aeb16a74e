package gateway_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

func firstMessage(_ *gateway.Route, g *usher.Guard) {
	g.Carriers = []usher.Carrier{usher.FirstMessage(known)}
	g.Subprotocols = []string{"chat"}
}

// Where the Guard has answered the handshake itself, the upstream is asked
// after the verdict, and what it says of the handshake is told by a Close.
func TestTunnelFirstMessage(t *testing.T) {
	const auth = `{"type":"auth","token":"alice-word"}`
	hello := func(t *testing.T, g *gate, first string) *peer {
		t.Helper()
		p := dial(t, g.addr)
		p.say(upgrade("/chat", "Sec-WebSocket-Protocol: soap, chat", "Sec-WebSocket-Extensions: permessage-deflate"))
		if res := p.answer(); res.StatusCode != http.StatusSwitchingProtocols || res.Header.Get("Sec-WebSocket-Protocol") != "chat" {
			t.Fatalf("got %d %v, want 101 with chat", res.StatusCode, res.Header)
		}
		p.send(ws.NewTextFrame([]byte(first)))
		return p
	}
	for name, h := range echoes {
		t.Run(name, func(t *testing.T) {
			p := hello(t, front(t, h, firstMessage), auth)
			p.echo("hello")
			p.echo(strings.Repeat("x", 100_000))
		})
	}
	t.Run("refused", func(t *testing.T) {
		b := raw(t, func(net.Conn, string) {})
		p := hello(t, open(t, target(t, "ws://"+b.addr), firstMessage), `{"type":"auth","token":"other"}`)
		p.closed(usher.CloseUnauthenticated)
		if got := b.text(); got != "" {
			t.Errorf("the backend got %q before the verdict", got)
		}
	})
	for _, tt := range []struct {
		name, answer string
		code         int
	}{
		{"backend refuses", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", usher.CloseForbidden},
		{"backend fails", "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", usher.CloseUnavailable},
		{"no accept", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", usher.CloseUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := raw(t, func(c net.Conn, _ string) { _, _ = io.WriteString(c, tt.answer) })
			hello(t, open(t, target(t, "ws://"+b.addr), firstMessage), auth).closed(tt.code)
		})
	}
	t.Run("backend selects another subprotocol", func(t *testing.T) {
		b := raw(t, func(c net.Conn, head string) { _, _ = io.WriteString(c, switched(head)) })
		hello(t, open(t, target(t, "ws://"+b.addr), firstMessage), auth).closed(usher.CloseFault)
	})
	t.Run("backend down", func(t *testing.T) {
		hello(t, open(t, target(t, "ws://"+closedAddress(t)), firstMessage), auth).closed(usher.CloseUnavailable)
	})
}

// A drain tells both sides.
func TestTunnelDrain(t *testing.T) {
	g, p, s := tunneled(t)
	drained := make(chan error, 1)
	go func() { drained <- g.sessions.Drain(t.Context(), 50*time.Millisecond) }()
	if reason := p.closed(usher.CloseGoingAway); !strings.HasPrefix(reason, "draining ") {
		t.Errorf("got reason %q, want draining", reason)
	}
	s.hears(ws.OpClose, goingAway)
	s.Close()
	if err := <-drained; err != nil {
		t.Error(err)
	}
	late := dial(t, g.addr)
	late.say(upgrade("/chat", bearer))
	if res := late.answer(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got status %d while draining, want 503", res.StatusCode)
	}
}

// A client that is gone before the upstream has answered leaves nothing.
func TestTunnelClientGone(t *testing.T) {
	asked, gone := make(chan struct{}), make(chan error, 1)
	b := raw(t, func(c net.Conn, _ string) {
		close(asked)
		_, err := io.Copy(io.Discard, c)
		gone <- err
	})
	g := open(t, target(t, "ws://"+b.addr), func(rt *gateway.Route, _ *usher.Guard) { rt.HandshakeTimeout = time.Minute })
	p := dial(t, g.addr)
	p.say(upgrade("/chat", bearer))
	<-asked
	p.Close()
	if err := <-gone; err != nil {
		t.Errorf("got %v at the backend, want the end", err)
	}
	g.settle(t)
}

// Traffic counts what went through, once, at the end.
func TestTunnelTraffic(t *testing.T) {
	counts := make(chan [2]int64, 1)
	_, p, s := tunneled(t, func(rt *gateway.Route, _ *usher.Guard) {
		rt.Traffic = func(in, out int64) { counts <- [2]int64{in, out} }
	})
	p.send(ws.NewTextFrame([]byte("12345"))) // 2 + 4 + 5
	s.hears(ws.OpText, "12345")
	_ = ws.WriteFrame(s, ws.NewTextFrame([]byte("1234567890"))) // 2 + 10
	p.receive()
	_ = ws.WriteFrame(s, ws.NewCloseFrame([]byte(goingAway))) // 2 + 2
	p.closed(1001)                                            // 2 + 4 + 2
	s.Close()
	if got := <-counts; got != [2]int64{19, 16} {
		t.Errorf("got %v, want 19 in and 16 out", got)
	}
}
