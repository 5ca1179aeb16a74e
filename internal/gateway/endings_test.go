package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// A seat is an upstream's end of a tunnel, in the hands of a test.
type seat struct {
	net.Conn
	t testing.TB
}

// seats starts a backend that answers each handshake with 101 and hands the
// connection to the test.
func seats(t testing.TB) (*rawBackend, <-chan *seat) {
	t.Helper()
	list := make(chan *seat, 8)
	b := raw(t, func(c net.Conn, head string) {
		_, _ = io.WriteString(c, switched(head))
		done := make(chan struct{})
		list <- &seat{Conn: &signalConn{Conn: c, done: done}, t: t}
		select {
		case <-done:
		case <-t.Context().Done():
		}
	})
	return b, list
}

// A signalConn says when it was closed.
type signalConn struct {
	net.Conn
	done chan struct{}
}

func (c *signalConn) Close() error {
	select {
	case <-c.done:
		return nil
	default:
		close(c.done)
		return c.Conn.Close()
	}
}

// reset closes the connection so that the peer gets a reset.
func (s *seat) reset() {
	s.t.Helper()
	if err := tcp(s.t, s.Conn).SetLinger(0); err != nil {
		s.t.Fatal(err)
	}
	s.Close()
}

func tcp(t testing.TB, c net.Conn) *net.TCPConn {
	t.Helper()
	for {
		switch inner := c.(type) {
		case *net.TCPConn:
			return inner
		case *signalConn:
			c = inner.Conn
		case *bufferedConn:
			c = inner.Conn
		default:
			t.Fatalf("got a %T, want TCP", c)
		}
	}
}

// hears reads a frame from the gateway, unmasked.
func (s *seat) hears(op ws.OpCode, payload string) {
	s.t.Helper()
	f, err := ws.ReadFrame(s)
	if err != nil {
		s.t.Fatalf("backend: read a frame: %v", err)
	}
	if f = ws.UnmaskFrame(f); f.Header.OpCode != op || string(f.Payload) != payload {
		s.t.Errorf("backend got %v %q, want %v %q", f.Header.OpCode, f.Payload, op, payload)
	}
}

// ends fails the test unless nothing comes but the end.
func (s *seat) ends() {
	s.t.Helper()
	rest, err := io.ReadAll(s)
	if len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Errorf("backend got %x, %v, want the end", rest, err)
	}
}

const goingAway = "\x03\xe9" // 1001

// tunneled opens a gate with one tunnel through it, both ends in the test's
// hands.
func tunneled(t *testing.T, settings ...setting) (*gate, *peer, *seat) {
	t.Helper()
	b, list := seats(t)
	g := open(t, target(t, "ws://"+b.addr), settings...)
	p, _ := connect(t, g.addr, "/chat")
	return g, p, <-list
}

func TestTunnelEndsOfClient(t *testing.T) {
	half := []byte{0x82, 0xfe, 0x01, 0x00, 0, 0, 0, 0, 'h', 'a', 'l', 'f'} // 12 of 264 bytes.
	t.Run("closes without a Close frame", func(t *testing.T) {
		_, p, s := tunneled(t)
		p.Close()
		s.hears(ws.OpClose, goingAway)
		s.Close()
	})
	t.Run("half-closes", func(t *testing.T) {
		_, p, s := tunneled(t)
		if err := tcp(t, p.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		s.hears(ws.OpClose, goingAway)
		_ = ws.WriteFrame(s, ws.NewTextFrame([]byte("last")))
		_ = ws.WriteFrame(s, ws.NewCloseFrame([]byte(goingAway)))
		s.Close()
		if f := p.receive(); string(f.Payload) != "last" {
			t.Errorf("got %q, want last", f.Payload)
		}
		if f := p.receive(); f.Header.OpCode != ws.OpClose {
			t.Errorf("got %v, want Close", f.Header.OpCode)
		}
		p.gone()
	})
	t.Run("resets in the middle of a frame", func(t *testing.T) {
		_, p, s := tunneled(t)
		p.say(string(half))
		got := make([]byte, len(half))
		if _, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, half) {
			t.Fatalf("backend got %x, %v, want %x", got, err, half)
		}
		if err := tcp(t, p.Conn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		p.Close()
		s.ends()
		s.Close()
	})
	t.Run("stops in the middle of a head", func(t *testing.T) {
		_, p, s := tunneled(t)
		p.say(string(half[:3]))
		p.Close()
		s.hears(ws.OpClose, goingAway)
		s.Close()
	})
}

func TestTunnelEndsOfUpstream(t *testing.T) {
	t.Run("closes without a Close frame", func(t *testing.T) {
		_, p, s := tunneled(t)
		s.Close()
		if word := p.closed(usher.CloseUnavailable); !strings.HasPrefix(word, "unavailable ") {
			t.Errorf("got reason %q, want unavailable", word)
		}
	})
	t.Run("half-closes", func(t *testing.T) {
		_, p, s := tunneled(t)
		defer s.Close()
		if err := tcp(t, s.Conn).CloseWrite(); err != nil {
			t.Fatal(err)
		}
		p.closed(usher.CloseUnavailable)
	})
	t.Run("resets", func(t *testing.T) {
		_, p, s := tunneled(t)
		s.reset()
		p.closed(usher.CloseUnavailable)
	})
	t.Run("resets in the middle of a frame", func(t *testing.T) {
		_, p, s := tunneled(t)
		_, _ = s.Write([]byte{0x82, 100, 'h', 'a', 'l', 'f'})
		got := make([]byte, 6)
		if _, err := io.ReadFull(p.rd, got); err != nil {
			t.Fatal(err)
		}
		s.reset()
		if rest, err := io.ReadAll(p.rd); len(rest) > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("got %x, %v, want the end", rest, err)
		}
	})
	t.Run("says why and closes while the client goes on", func(t *testing.T) {
		_, p, s := tunneled(t)
		for range 100 {
			p.send(ws.NewBinaryFrame(make([]byte, 1000)))
		}
		s.hears(ws.OpBinary, strings.Repeat("\x00", 1000))
		_ = ws.WriteFrame(s, ws.NewCloseFrame(ws.NewCloseFrameBody(1009, "enough")))
		if got := p.closed(1009); got != "enough" {
			t.Errorf("got reason %q, want enough", got)
		}
		s.Close()
	})
	t.Run("never answers a Close", func(t *testing.T) {
		_, p, s := tunneled(t)
		defer s.Close()
		p.send(ws.NewCloseFrame([]byte(goingAway)))
		p.gone()
	})
}

// Nothing that is not in order passes, in either direction, not even a part.
func TestTunnelBadFrames(t *testing.T) {
	masked := func(b ...byte) string { return string(b) + "\x00\x00\x00\x00" }
	tests := []struct {
		name, client, server string // Empty: not of that direction.
	}{
		{"wrong mask", "\x81\x01x", "\x81\x81\x00\x00\x00\x00x"},
		{"RSV1", masked(0xc1, 0x81) + "x", "\xc1\x01x"},
		{"RSV2", masked(0xa1, 0x81) + "x", "\xa1\x01x"},
		{"RSV3", masked(0x91, 0x81) + "x", "\x91\x01x"},
		{"reserved data opcode", masked(0x83, 0x81) + "x", "\x83\x01x"},
		{"reserved control opcode", masked(0x8b, 0x81) + "x", "\x8b\x01x"},
		{"control frame of 126 bytes", masked(0x89, 0xfe, 0, 126) + strings.Repeat("x", 126), "\x89\x7e\x00\x7e" + strings.Repeat("x", 126)},
		{"fragment of a control frame", masked(0x09, 0x80), "\x09\x00"},
		{"continuation of nothing", masked(0x80, 0x81) + "x", "\x80\x01x"},
		{"message in a message", masked(0x01, 0x80) + masked(0x81, 0x81) + "x", "\x01\x00\x81\x01x"},
		{"length with the highest bit", masked(0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0), "\x82\x7f\x80\x00\x00\x00\x00\x00\x00\x00"},
		{"length of 16 bits for 5", masked(0x82, 0xfe, 0, 5) + "xxxxx", "\x82\x7e\x00\x05xxxxx"},
		{"length of 64 bits for 5", masked(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5) + "xxxxx", "\x82\x7f\x00\x00\x00\x00\x00\x00\x00\x05xxxxx"},
		{"no frame at all", "GET /internal HTTP/1.1\r\nX-User: root\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"},
	}
	for _, tt := range tests {
		for _, bytewise := range []bool{false, true} {
			name := tt.name
			if bytewise {
				name += ", byte by byte"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				_, p, s := tunneled(t)
				p.send(ws.NewTextFrame([]byte("good")))
				s.hears(ws.OpText, "good")
				write(p, tt.client, bytewise)
				if reason := p.closed(usher.CloseProtocolError); !strings.HasPrefix(reason, "protocol_error ") {
					t.Errorf("got reason %q, want protocol_error", reason)
				}
				if strings.HasPrefix(tt.name, "message in") {
					if got := make([]byte, 6); read(t, s, got) && got[0] != 0x01 {
						t.Errorf("backend got %x, want the first fragment", got)
					}
				}
				s.hears(ws.OpClose, goingAway)
				s.Close()

				_, p, s = tunneled(t)
				_ = ws.WriteFrame(s, ws.NewTextFrame([]byte("good")))
				write(s, tt.server, bytewise)
				if f := p.receive(); string(f.Payload) != "good" {
					t.Errorf("got %q, want good", f.Payload)
				}
				if strings.HasPrefix(tt.name, "message in") {
					if f := p.receive(); f.Header.OpCode != ws.OpText || f.Header.Fin {
						t.Errorf("got %v, want the first fragment", f.Header)
					}
				}
				p.closed(usher.CloseUnavailable)
				s.Close()
			})
		}
	}
}

func read(t *testing.T, r io.Reader, p []byte) bool {
	t.Helper()
	if _, err := io.ReadFull(r, p); err != nil {
		t.Errorf("read: %v", err)
		return false
	}
	return true
}

// write may fail: who finds a fault need not read on.
func write(w io.Writer, text string, bytewise bool) {
	if !bytewise {
		_, _ = io.WriteString(w, text)
		return
	}
	for i := range len(text) {
		if _, err := io.WriteString(w, text[i:i+1]); err != nil {
			return
		}
	}
}

// brief lets alice in for so long.
func brief(d time.Duration) setting {
	return func(_ *gateway.Route, g *usher.Guard) {
		g.Carriers = []usher.Carrier{usher.Bearer(usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{Subject: "alice", Expires: time.Now().Add(d)}, nil
		}))}
	}
}

func TestTunnelExpiry(t *testing.T) {
	t.Run("idle", func(t *testing.T) {
		t.Parallel()
		_, p, s := tunneled(t, brief(time.Second))
		if reason := p.closed(usher.CloseUnauthenticated); !strings.HasPrefix(reason, "expired ") {
			t.Errorf("got reason %q, want expired", reason)
		}
		s.hears(ws.OpClose, goingAway)
		s.Close()
	})
	t.Run("in the middle of a client's frame", func(t *testing.T) {
		t.Parallel()
		_, p, s := tunneled(t, brief(time.Second))
		p.say("\x82\xe4\x00\x00\x00\x00half")
		p.closed(usher.CloseUnauthenticated)
		got, err := io.ReadAll(s)
		if errors.Is(err, os.ErrDeadlineExceeded) || len(got) != 10 {
			t.Errorf("backend got %x, %v, want what came of the frame and the end", got, err)
		}
		s.Close()
	})
	t.Run("while the upstream reads nothing", func(t *testing.T) {
		t.Parallel()
		g, p, s := tunneled(t, brief(time.Second))
		defer s.Close()
		go func() {
			chunk := ws.MustCompileFrame(ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 60_000))))
			for {
				if _, err := p.Write(chunk); err != nil {
					return
				}
			}
		}()
		f := p.receive()
		if f.Header.OpCode != ws.OpClose || string(f.Payload[:2]) != "\x11\x31" {
			t.Errorf("got %v %q, want Close 4401", f.Header.OpCode, f.Payload)
		}
		p.gone()
		g.settle(t)
	})
	t.Run("while the client reads nothing", func(t *testing.T) {
		t.Parallel()
		g, _, s := tunneled(t, brief(time.Second))
		defer s.Close()
		chunk := ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 60_000)))
		for {
			if _, err := s.Write(chunk); err != nil {
				break
			}
		}
		g.settle(t)
	})
}

func TestTunnelIdle(t *testing.T) {
	t.Parallel()
	const idle, pause = 2 * time.Second, 500 * time.Millisecond
	begun := time.Now()
	_, p, s := tunneled(t, func(rt *gateway.Route, _ *usher.Guard) { rt.Idle = idle })
	for range 5 { // Traffic keeps it.
		time.Sleep(pause)
		p.send(ws.NewPingFrame(nil))
		s.hears(ws.OpPing, "")
	}
	if reason := p.closed(usher.CloseGoingAway); !strings.HasPrefix(reason, "idle ") {
		t.Errorf("got reason %q, want idle", reason)
	}
	if took := time.Since(begun); took < 5*pause+idle {
		t.Errorf("ended after %v, want at least %v", took, 5*pause+idle)
	}
	s.hears(ws.OpClose, goingAway)
	s.Close()
}
