package usher_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// aside is a handler as the gateway's tunnel is one: it has the Guard answer,
// serves the connection in a goroutine of its own and returns.
type aside func(ctx context.Context, c net.Conn)

func (aside) ServesElsewhere() {}

func (h aside) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var c net.Conn
	var err error
	if guarded, ok := w.(interface {
		Switch(head []byte) (net.Conn, error)
	}); ok {
		c, err = guarded.Switch([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX-Answer: aside\r\n\r\n"))
	} else { // After a first message.
		w.Header().Set("Upgrade", "websocket")
		w.Header().Set("Connection", "Upgrade")
		w.WriteHeader(http.StatusSwitchingProtocols)
		c, _, err = http.NewResponseController(w).Hijack()
	}
	if err == nil {
		go h(r.Context(), c)
	}
}

type middlewareKey struct{}

// TestElsewhere has a handler return while its connection lives on, with a
// context that is the connection's alone.
func TestElsewhere(t *testing.T) {
	for _, first := range []bool{false, true} {
		returned, ended := make(chan struct{}), make(chan error, 1)
		g := detachedGuard(known, &logbook{})
		h := g.Handler(aside(func(ctx context.Context, c net.Conn) {
			defer c.Close()
			<-returned
			if err := ctx.Err(); err != nil {
				t.Errorf("first message %v: got %v once the handler has returned", first, err)
			}
			if v := ctx.Value(middlewareKey{}); v != nil {
				t.Errorf("first message %v: got %v of the server's, want it to be forgotten", first, v)
			}
			if id, err := usher.FromContext(ctx); err != nil || id.Subject != "alice" {
				t.Errorf("first message %v: got identity %v, %v", first, id, err)
			}
			var b [6 + 1]byte
			if _, err := io.ReadFull(c, b[:]); err != nil {
				t.Error(err)
			}
			if !usher.End(ctx, usher.ErrForbidden) {
				t.Errorf("first message %v: got no connection to end", first)
			}
			<-ctx.Done()
			ended <- context.Cause(ctx)
		}))
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(context.WithValue(r.Context(), middlewareKey{}, "here"))
			h.ServeHTTP(w, r.WithContext(ctx))
			cancel()
			close(returned)
		}))
		p := dial(t, s.addr, "")
		if first {
			p.say(upgrade(s.addr, "/"))
			p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-word"}`))
			p.status(http.StatusSwitchingProtocols)
		} else {
			p.say(upgrade(s.addr, "/", aliceBearer))
			if got := p.status(http.StatusSwitchingProtocols).Header.Get("X-Answer"); got != "aside" {
				t.Errorf("got the header %q of the handler's, want aside", got)
			}
		}
		p.sendFrame(ws.OpText, []byte("x"))
		p.closed(usher.CloseForbidden, "forbidden")
		if err := <-ended; !errors.Is(err, usher.ErrForbidden) {
			t.Errorf("first message %v: got cause %v, want ErrForbidden", first, err)
		}
	}
}

// TestElsewhereDrained has a drain begin before the handler answers: the client
// is told by a code.
func TestElsewhereDrained(t *testing.T) {
	g := byBearer(known)
	g.Detach, g.Sessions = true, &usher.Sessions{}
	h := aside(func(context.Context, net.Conn) { t.Error("got a connection during a drain") })
	s := guard(t, g, drained{h, g})
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", aliceBearer))
	p.status(http.StatusSwitchingProtocols)
	p.closed(usher.CloseGoingAway, "draining")
}

// drained is a handler that waits until a drain has ended its request.
type drained struct {
	aside
	g *usher.Guard
}

func (d drained) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	go func() { _ = d.g.Sessions.Drain(context.Background(), 0) }() // It waits for this handler.
	<-r.Context().Done()
	d.aside.ServeHTTP(w, r)
}
