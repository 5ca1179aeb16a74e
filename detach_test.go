package usher_test

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/usher-ws/usher"
)

// eventually waits until ok, for what happens after a client has heard.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	deadline := time.After(5 * time.Second)
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: not within 5s", what)
		}
	}
}

const aliceBearer = "Authorization: Bearer alice-word"

// detachedGuard takes both the credentials that come with a handshake and first
// messages, so that both ways are tried.
func detachedGuard(v usher.Verifier, log *logbook) *usher.Guard {
	g := byMessage(v)
	g.Detach, g.Log = true, log.logger()
	return g
}

// TestDetach has the middleware around the Guard return at the hijack, while the
// handler goes on with a context that is not the middleware's.
func TestDetach(t *testing.T) {
	for _, first := range []bool{false, true} {
		middleware := make(chan struct{})
		ended := make(chan error, 1)
		log := &logbook{}
		g := detachedGuard(known, log)
		h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				ended <- err
				return
			}
			defer c.Close()
			<-middleware
			if _, _, err := wsutil.ReadClientData(c); err != nil {
				ended <- err
				return
			}
			if err := r.Context().Err(); err != nil {
				ended <- err
				return
			}
			id, err := usher.FromContext(r.Context())
			if err == nil && id.Subject != "alice" {
				t.Errorf("got subject %q, want alice", id.Subject)
			}
			ended <- err
		}))
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			h.ServeHTTP(w, r.WithContext(ctx))
			cancel()
			close(middleware)
		}))
		p := dial(t, s.addr, "")
		if first {
			p.say(upgrade(s.addr, "/"))
			p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-word"}`))
		} else {
			p.say(upgrade(s.addr, "/", aliceBearer))
		}
		p.status(http.StatusSwitchingProtocols)
		<-middleware
		p.sendFrame(ws.OpText, []byte("x"))
		if err := <-ended; err != nil {
			t.Errorf("first message %v: got %v in a handler whose middleware has returned", first, err)
		}
	}
}

// TestDetachedPanics has handlers panic: before the hijack as without Detach,
// after it the connection ends and the log says so.
func TestDetachedPanics(t *testing.T) {
	for _, tt := range []struct {
		name   string
		hijack bool
	}{{"before the hijack", false}, {"after the hijack", true}} {
		t.Run(tt.name, func(t *testing.T) {
			log := &logbook{}
			g := detachedGuard(known, log)
			s := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if tt.hijack {
					_, _, _, _ = ws.UpgradeHTTP(r, w)
				}
				panic("a fault of the handler's")
			}))
			p := dial(t, s.addr, "")
			p.say(upgrade(s.addr, "/", aliceBearer))
			if !tt.hijack {
				if _, err := p.rd.ReadByte(); err == nil {
					t.Error("got an answer, want the connection closed")
				}
			} else {
				p.status(http.StatusSwitchingProtocols)
				p.closed(usher.CloseFault, "fault")
			}
			eventually(t, "no live connection", func() bool { return g.Sessions.Len() == 0 })
			if tt.hijack {
				eventually(t, "the log says so", func() bool { return strings.Contains(log.String(), "a fault of the handler's") })
			}
		})
	}
}

// TestDetachedDeclines has a handler that answers without taking the connection,
// and one whose client leaves before it does.
func TestDetachedDeclines(t *testing.T) {
	log := &logbook{}
	reached, left := make(chan struct{}), make(chan struct{})
	g := detachedGuard(known, log)
	s := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			close(reached)
			<-r.Context().Done()
			close(left)
			return
		}
		http.Error(w, "not today", http.StatusTeapot)
	}))
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", aliceBearer))
	p.status(http.StatusTeapot)
	p = dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/wait", aliceBearer))
	<-reached
	_ = p.Close()
	select {
	case <-left:
	case <-time.After(5 * time.Second):
		t.Error("the handler did not hear that its client is gone")
	}
	eventually(t, "no live connection", func() bool { return g.Sessions.Len() == 0 })
}

// TestDetachedMemory shows what it is for: an idle connection without the
// server's buffers.
func TestDetachedMemory(t *testing.T) {
	h := takeover(func(_ *http.Request, c net.Conn) {
		defer c.Close()
		var b [1]byte
		_, _ = c.Read(b[:])
	})
	per := func(detach bool) int64 {
		g := byBearer(known)
		g.Detach = detach
		s := guard(t, g, h)
		const n = 200
		before := memoryInUse()
		peers := make([]*peer, n)
		for i := range peers {
			peers[i] = dial(t, s.addr, "")
			peers[i].say(upgrade(s.addr, "/", aliceBearer))
			peers[i].status(http.StatusSwitchingProtocols)
		}
		return (memoryInUse() - before) / n
	}
	kept, gone := per(false), per(true)
	t.Logf("%d bytes for each connection and its client, %d with Detach", kept, gone)
	if kept-gone < 4<<10 {
		t.Errorf("got %d bytes saved by Detach, want at least 4 KiB", kept-gone)
	}
}
