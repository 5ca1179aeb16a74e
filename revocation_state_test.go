package usher_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// revokeAlice does it, and fails the test unless it ends want connections.
func revokeAlice(t *testing.T, s *usher.Sessions, want int) {
	t.Helper()
	time.Sleep(time.Second)
	if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != want || err != nil {
		t.Errorf("got %d, %v, want %d ended", n, err, want)
	}
}

// TestRevokeBeforeHijack leaves a handler that hesitates nothing to take over.
func TestRevokeBeforeHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		p, done := overPipe(t, byMint(&s, "/chat"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			if err := context.Cause(r.Context()); !errors.Is(err, usher.ErrRevoked) {
				t.Errorf("got cause %v, want ErrRevoked", err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, usher.ErrRevoked) {
				t.Errorf("got %v for Hijack, want ErrRevoked", err)
			}
		}), bearing(loggedIn("alice", "s1")))
		revokeAlice(t, &s, 1)
		if b, err := p.rd.ReadByte(); err == nil {
			t.Errorf("got byte %q, want the end of the connection", b)
		}
		<-done
	})
}

// TestRevokeWhileWaiting: who has not said yet who it is cannot be ended, and is
// told with its first message.
func TestRevokeWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		var w witness
		g := &usher.Guard{Carriers: []usher.Carrier{usher.FirstMessage(mint)}, Sessions: &s, Log: quiet()}
		p, done := overPipe(t, g, &w)
		p.status(http.StatusSwitchingProtocols)
		id := loggedIn("alice", "s1")
		revokeAlice(t, &s, 0)
		p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"`+minted(id)+`"}`))
		p.closed(usher.CloseUnauthenticated, "revoked")
		<-done
		w.sawNobody(t)
	})
}

// TestRevokeWhileJudged: a verifier that said yes before the revocation came has
// said so in vain.
func TestRevokeWhileJudged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		var w witness
		slow := usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
			time.Sleep(2 * time.Second) // Of the bubble.
			return mint.Verify(ctx, c)
		})
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(slow)}, Sessions: &s, Log: quiet()}
		p, done := overPipe(t, g, &w, bearing(loggedIn("alice", "s1")), ownPage)
		revokeAlice(t, &s, 0)
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "revoked")
		<-done
		w.sawNobody(t)
	})
}

// TestRevokeAfterVerdict has the revocation come when the verdict is a yes
// already, and the connection is not listed yet: while a cookie beside the
// credential is looked at.
func TestRevokeAfterVerdict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		var w witness
		late := usher.VerifierFunc(func(ctx context.Context, _ usher.Credential) (*usher.Identity, error) {
			if n, err := s.Revoke(ctx, usher.Revocation{Token: "t1", IssuedBefore: time.Now().Add(1)}); n != 0 || err != nil {
				t.Errorf("got %d, %v", n, err)
			}
			return &usher.Identity{Subject: "alice"}, nil
		})
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(mint), usher.Cookie("session", late)}, Sessions: &s, Log: quiet()}
		id := loggedIn("alice", "s1")
		id.Token = "t1"
		p, done := overPipe(t, g, &w, bearing(id), "Cookie: session=word", ownPage)
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "revoked")
		<-done
		w.sawNobody(t)
	})
}

// TestRevokeInGoodbye: a connection that is on its way out already keeps the
// reason that it was told, and is not counted.
func TestRevokeInGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "s1")
		id.Expires = time.Now().Add(500 * time.Millisecond)
		p := join(t, g, idle, id)
		f := p.receive()
		revokeAlice(t, &s, 0)
		if n := s.Len(); n != 1 {
			t.Errorf("got %d live during the goodbye, want 1: it is not closed", n)
		}
		if n := len(live(t, &s)); n != 0 {
			t.Errorf("got %d listed during the goodbye, want none", n)
		}
		if !strings.HasPrefix(string(f.Payload[2:]), "expired ") {
			t.Errorf("got %q, want expired", f.Payload)
		}
		if b, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("got %x, %v after the Close, want EOF", b, err)
		}
		synctest.Wait()
		if n := s.Len(); n != 0 {
			t.Errorf("got %d live in the end, want none", n)
		}
	})
}

// TestRevokeInAFrame waits for the handler to end what it has begun, so that the
// client sees whole frames and then the Close.
func TestRevokeInAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		frame := ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 1000)))
		p, done := overPipe(t, byMint(&s, "/chat"), takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			if _, err := c.Write(frame[:500]); err != nil {
				t.Error(err)
			}
			<-r.Context().Done()
			time.Sleep(time.Second) // Of the bubble.
			if _, err := c.Write(append(frame[500:], frame...)); err != nil {
				t.Errorf("got %v for the rest of the frame, want it sent, and what follows swallowed", err)
			}
		}), bearing(loggedIn("alice", "s1")))
		p.status(http.StatusSwitchingProtocols)
		got := make(chan ws.Frame)
		go func() { got <- p.receive() }()
		revokeAlice(t, &s, 1)
		if f := <-got; len(f.Payload) != 1000 || f.Header.OpCode != ws.OpBinary {
			t.Errorf("got frame %+v, want the 1000 bytes", f.Header)
		}
		p.closed(usher.CloseUnauthenticated, "revoked")
		<-done
	})
}

// TestRevokePlain ends the context of a plain request that goes on for long, and
// what it writes.
func TestRevokePlain(t *testing.T) {
	var s usher.Sessions
	begun, ended := make(chan struct{}), make(chan error, 1)
	srv := guard(t, byMint(&s, "/feed"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, "one ")
		_ = http.NewResponseController(w).Flush()
		close(begun)
		<-r.Context().Done()
		_, err := fmt.Fprint(w, "two")
		ended <- err
	}))
	p := dial(t, srv.addr, "")
	p.say(request("GET", srv.addr, "/feed", bearing(loggedIn("alice", "s1"))))
	<-begun
	if n := len(live(t, &s)); n != 0 {
		t.Errorf("got %d connections listed, want none: it is no upgrade", n)
	}
	if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 1 || err != nil {
		t.Errorf("got %d, %v, want 1 ended", n, err)
	}
	if err := <-ended; !errors.Is(err, usher.ErrRevoked) {
		t.Errorf("got %v for a write afterwards, want ErrRevoked", err)
	}
	if _, body := p.answer(); body != "one " {
		t.Errorf("got body %q, want what was written before", body)
	}
}

// TestRevokeRace lets 1,000 handshakes race with a revocation of the credential
// that all have. However they interleave, no backend keeps a connection, and no
// backend gets one once Revoke has returned.
func TestRevokeRace(t *testing.T) {
	const n = 1000
	var s usher.Sessions
	var returned atomic.Bool
	var taken, held atomic.Int64
	enough := make(chan struct{})
	srv := guard(t, byMint(&s, "/chat"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		late := returned.Load()
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return // Revoked before it was taken over.
		}
		defer c.Close()
		if late {
			t.Error("a handler that began after Revoke returned got a connection")
		}
		held.Add(1)
		defer held.Add(-1)
		if taken.Add(1) == n/4 {
			close(enough)
		}
		_ = untilEnd(c)
	}))
	id := loggedIn("alice", "s1")
	id.Issued = id.Issued.Add(-time.Second)
	var all sync.WaitGroup
	outcomes := make(chan string, n)
	for range n {
		all.Go(func() { outcomes <- outcomeOf(t.Context(), srv, id) })
	}
	<-enough
	ended, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"})
	returned.Store(true)
	if err != nil {
		t.Error(err)
	}
	all.Wait()
	close(outcomes)
	sum := make(map[string]int)
	for o := range outcomes {
		sum[o]++
	}
	srv.idle(t)
	if held.Load() != 0 || len(live(t, &s)) != 0 {
		t.Errorf("got %d at the backend, %d listed, want none", held.Load(), len(live(t, &s)))
	}
	if sum["revoked"]+sum["cut"]+sum["401"] != n || sum["401"] == 0 || sum["revoked"] == 0 {
		t.Errorf("got %v; want some who were ended, some who were refused, and nothing else", sum)
	}
	t.Logf("%v; the revocation ended %d, the backend had %d", sum, ended, taken.Load())
}

// outcomeOf is what one client sees of its whole connection.
func outcomeOf(ctx context.Context, srv *server, id usher.Identity) string {
	c, err := (&net.Dialer{}).DialContext(ctx, "tcp", srv.addr)
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(3 * patience))
	if _, err := io.WriteString(c, upgrade(srv.addr, "/chat", bearing(id))); err != nil {
		return err.Error()
	}
	rd := bufio.NewReader(c)
	res, err := http.ReadResponse(rd, nil)
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "cut" // Its handler had not answered yet.
	case err != nil:
		return err.Error()
	case res.StatusCode != http.StatusSwitchingProtocols:
		return strconv.Itoa(res.StatusCode)
	}
	f, err := ws.ReadFrame(rd)
	if err == nil && f.Header.OpCode == ws.OpClose && binary.BigEndian.Uint16(f.Payload) == usher.CloseUnauthenticated &&
		strings.HasPrefix(string(f.Payload[2:]), "revoked ") {
		return "revoked"
	}
	return fmt.Sprintf("%v %q %v", f.Header.OpCode, f.Payload, err)
}
