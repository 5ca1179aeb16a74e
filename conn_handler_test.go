package usher_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// byMessage is a Guard that takes first messages, and the bearer words too.
func byMessage(v usher.Verifier) *usher.Guard {
	return &usher.Guard{
		Carriers:     []usher.Carrier{usher.Bearer(v), usher.Cookie("session", v), usher.FirstMessage(v)},
		Subprotocols: []string{chat}, Sessions: new(usher.Sessions),
	}
}

// introduce sends a handshake that offers "chat", and the first message.
func introduce(t *testing.T, s *server) *peer {
	t.Helper()
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Sec-WebSocket-Protocol: chat"))
	p.status(http.StatusSwitchingProtocols)
	p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-word"}`))
	return p
}

// TestHandlerDeclines has handlers that answer an admitted first message with a
// status, which comes too late to be one.
func TestHandlerDeclines(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
		code    int
		word    string
	}{
		{"nothing", func(http.ResponseWriter, *http.Request) {}, 4403, "forbidden"},
		{"200", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello") }, 4403, "forbidden"},
		{"403", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusForbidden) }, 4403, "forbidden"},
		{"404", http.NotFound, 4403, "forbidden"},
		{"503", func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "no", http.StatusServiceUnavailable) }, 4503, "unavailable"},
		{"502 after an early hint", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusEarlyHints)
			w.WriteHeader(http.StatusBadGateway)
		}, 4503, "unavailable"},
		{"101 without taking the connection", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusSwitchingProtocols)
		}, 4403, "forbidden"},
		{"403 on the wire", hijackAndWrite("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"), 4403, "forbidden"},
		{"500 on the wire", hijackAndWrite("HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n"), 4503, "unavailable"},
		{"Refuse", func(w http.ResponseWriter, r *http.Request) { usher.Refuse(w, r, usher.ErrForbidden) }, 4403, "forbidden"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := guard(t, byMessage(known), tt.handler)
			introduce(t, s).closed(tt.code, tt.word)
		})
	}
}

func hijackAndWrite(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		c, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, text)
	}
}

// TestHandlerSelectsAnother subprotocol than the Guard has told the client: a
// fault of the configuration, and the log says of which part.
func TestHandlerSelectsAnother(t *testing.T) {
	tests := []struct {
		name    string
		handler http.HandlerFunc
	}{
		{"gorilla", func(w http.ResponseWriter, r *http.Request) {
			c, err := new(gorilla.Upgrader).Upgrade(w, r, http.Header{"Sec-Websocket-Protocol": {"other"}})
			if err == nil {
				c.Close()
			}
		}},
		{"coder", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Sec-Websocket-Protocol", "other")
			c, err := coder.Accept(w, r, nil)
			if err == nil {
				c.CloseNow()
			}
		}},
		{"gobwas", func(w http.ResponseWriter, r *http.Request) {
			u := ws.HTTPUpgrader{Header: http.Header{"Sec-Websocket-Protocol": {"other"}}}
			c, _, _, err := u.Upgrade(r, w)
			if err == nil {
				c.Close()
			}
		}},
		{"selects none", func(w http.ResponseWriter, r *http.Request) {
			c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
			if err == nil {
				c.Close()
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b logbook
			g := byMessage(known)
			g.Log = b.logger()
			s := guard(t, g, tt.handler)
			introduce(t, s).closed(usher.CloseFault, "fault")
			if got := b.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "Guard.Subprotocols") {
				t.Errorf("got the log %q, want an error that names Guard.Subprotocols", got)
			}
		})
	}
}

// TestHandlerPanics tells the client of a fault where it can be told, and
// leaves no live connection behind.
func TestHandlerPanics(t *testing.T) {
	before := http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	after := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, _, _, err := (ws.HTTPUpgrader{Protocol: func(p string) bool { return p == chat }}).Upgrade(r, w); err != nil {
			t.Error(err)
		}
		panic(http.ErrAbortHandler)
	})
	fault := func(p *peer) { p.closed(usher.CloseFault, "fault") }
	tests := []struct {
		name    string
		handler http.Handler
		visit   func(t *testing.T, s *server)
	}{
		{"before hijack, first message", before, func(t *testing.T, s *server) { fault(introduce(t, s)) }},
		{"after hijack, first message", after, func(t *testing.T, s *server) { fault(introduce(t, s)) }},
		{"before hijack, bearer", before, func(t *testing.T, s *server) {
			p := dial(t, s.addr, "")
			p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
			if b, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("got %q, %v, want EOF", b, err)
			}
		}},
		{"after hijack, bearer", after, func(t *testing.T, s *server) {
			p := dial(t, s.addr, "")
			p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
			p.status(http.StatusSwitchingProtocols)
			fault(p)
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			g := byMessage(known)
			t.Cleanup(func() { // When the server's handlers are done.
				if n := g.Sessions.Len(); n != 0 {
					t.Errorf("got %d live connections, want none", n)
				}
			})
			tt.visit(t, guard(t, g, tt.handler))
		})
	}
}

// TestHandlerReturns has a handler that returns while a goroutine of its own
// goes on with the connection, which is guarded as before.
func TestHandlerReturns(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 2)
	g := byMessage(lasting(lifetime))
	s := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&gorilla.Upgrader{Subprotocols: []string{chat}}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			for {
				kind, message, err := c.ReadMessage()
				if err != nil {
					ended <- err
					return
				}
				_ = c.WriteMessage(kind, message)
			}
		}()
	}))
	first := introduce(t, s)
	bearer := dial(t, s.addr, "")
	bearer.say(upgrade(s.addr, "/", authorized))
	bearer.status(http.StatusSwitchingProtocols)
	for _, p := range []*peer{first, bearer} {
		p.echo("still there")
	}
	for _, p := range []*peer{first, bearer} {
		p.closed(usher.CloseUnauthenticated, "expired")
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from the library's read, want net.ErrClosed", err)
		}
	}
}

// TestHandlerCloses lets a handler's own Close through as it is, and its
// closing without one.
func TestHandlerCloses(t *testing.T) {
	own := func(w http.ResponseWriter, r *http.Request) {
		c, err := coder.Accept(w, r, &coder.AcceptOptions{Subprotocols: []string{chat}})
		if err == nil {
			_ = c.Close(4999, "mine alone")
		}
	}
	abrupt := func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == chat }}.Upgrade(r, w)
		if err == nil {
			c.Close()
		}
	}
	for _, first := range []bool{false, true} {
		events := make(chan usher.Event, 4)
		g := byMessage(known)
		g.Observe = func(_ context.Context, e usher.Event) {
			if e.Kind == usher.EventEnded {
				events <- e
			}
		}
		connect := func(h http.HandlerFunc) *peer {
			s := guard(t, g, h)
			if first {
				return introduce(t, s)
			}
			p := dial(t, s.addr, "")
			p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
			p.status(http.StatusSwitchingProtocols)
			return p
		}
		p := connect(own)
		f := p.receive()
		if code, reason := ws.ParseCloseFrameData(f.Payload); f.Header.OpCode != ws.OpClose || code != 4999 || reason != "mine alone" {
			t.Errorf("got frame %v %d %q, want the handler's own Close", f.Header.OpCode, code, reason)
		}
		p.sendFrame(ws.OpClose, f.Payload)
		if _, err := p.rd.ReadByte(); err == nil {
			t.Error("got bytes after the handler's Close")
		}
		p = connect(abrupt)
		if b, err := p.rd.ReadByte(); err == nil {
			t.Errorf("got byte %q from a connection that its handler has closed", b)
		}
		for range 2 {
			if e := <-events; e.Refusal != nil {
				t.Errorf("got %v as the reason of an end that was the handler's", e.Refusal)
			}
		}
		if n := g.Sessions.Len(); n != 0 {
			t.Errorf("got %d live connections, want none", n)
		}
	}
}

// TestHandlerDrained tells a client whose first message comes during a drain
// where to go: not that its credential is bad.
func TestHandlerDrained(t *testing.T) {
	var g *usher.Guard
	draining := usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
		if err := g.Sessions.Drain(ctx, 0); err != nil {
			return nil, err
		}
		return known.Verify(ctx, c)
	})
	g = byMessage(draining)
	var w witness
	s := guard(t, g, &w)
	introduce(t, s).closed(usher.CloseGoingAway, "draining")
	w.sawNobody(t)
}

// TestHandlerDrainedLate is the same for a handler that has answered 101 by
// WriteHeader, as coder/websocket does, when the drain begins.
func TestHandlerDrainedLate(t *testing.T) {
	g := byMessage(known)
	s := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		go func() { _ = g.Sessions.Drain(context.Background(), 0) }() // It waits for this handler.
		<-r.Context().Done()
		if _, _, err := http.NewResponseController(w).Hijack(); err == nil {
			t.Error("got a connection during a drain")
		}
	}))
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
	p.status(http.StatusSwitchingProtocols)
	p.closed(usher.CloseGoingAway, "draining")
}

// TestHandlerEnds lets a handler end its connection with a code, once, whatever
// it does with the connection at that moment.
func TestHandlerEnds(t *testing.T) {
	s := guard(t, byMessage(known), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if usher.End(r.Context(), usher.ErrForbidden) {
			t.Error("got an end of a connection that nobody has taken over")
		}
		c, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == chat }}.Upgrade(r, w)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		for _, want := range []bool{true, false} {
			if got := usher.End(r.Context(), usher.ErrForbidden); got != want {
				t.Errorf("got an end: %t, want %t", got, want)
			}
		}
		if err := untilEnd(c); !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from Read, want net.ErrClosed", err)
		}
		if err := context.Cause(r.Context()); !errors.Is(err, usher.ErrForbidden) {
			t.Errorf("got cause %v, want ErrForbidden", err)
		}
	}))
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Authorization: Bearer alice-word"))
	p.status(http.StatusSwitchingProtocols)
	p.closed(usher.CloseForbidden, "forbidden")
}

// TestHandlerAcknowledged tells the client of its admission when it is true: it
// is reported, and the connection is live.
func TestHandlerAcknowledged(t *testing.T) {
	admitted := make(chan struct{}, 1)
	g := byMessage(known)
	g.Observe = func(_ context.Context, e usher.Event) {
		if e.Kind == usher.EventAdmitted {
			admitted <- struct{}{}
		}
	}
	s := guard(t, g, &witness{})
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Sec-WebSocket-Protocol: chat"))
	p.status(http.StatusSwitchingProtocols)
	p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-word","ack":true}`))
	p.sendFrame(ws.OpText, []byte("early"))
	if got := string(p.receive().Payload); !strings.Contains(got, `"auth_ok"`) {
		t.Errorf("got %q, want the answer", got)
	}
	select {
	case <-admitted:
	default:
		t.Error("the client was told before the admission was reported")
	}
	if n := g.Sessions.Len(); n != 1 {
		t.Errorf("got %d live connections when the client is told, want 1", n)
	}
	if got := string(p.receive().Payload); got != "early" {
		t.Errorf("got %q after the answer, want the handler's", got)
	}
}
