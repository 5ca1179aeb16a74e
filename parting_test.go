package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/usher-ws/usher"
)

// parted is a handler with last words: it says each word that the Guard has for
// the end, warns in a frame, and gives itself the identity that is sent to it.
func parted(adopt func(ctx context.Context, name string) error) http.Handler {
	return takeover(func(r *http.Request, c net.Conn) {
		defer c.Close()
		usher.OnParting(r.Context(), usher.Parting{
			Goodbye: func(why *usher.Refusal) []byte { return textFrame("goodbye: " + why.Word) },
			Warning: func(at time.Time) {
				go func() { _, _ = c.Write(textFrame("until " + at.UTC().Format(time.TimeOnly))) }()
			},
		})
		for {
			b, _, err := wsutil.ReadClientData(c)
			if err != nil {
				return
			}
			word := "adopted"
			if err := adopt(r.Context(), string(b)); err != nil {
				word = err.Error()
			}
			if _, err := c.Write(textFrame(word)); err != nil {
				return
			}
		}
	})
}

func (p *peer) says(want string) {
	p.t.Helper()
	if got := string(p.receive().Payload); got != want {
		p.t.Errorf("got %q, want %q", got, want)
	}
}

// A handler's last words come before the Close frame, whatever ends the
// connection.
func TestPartingGoodbye(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		p := join(t, g, parted(nil), loggedIn("alice", "s1"))
		time.Sleep(time.Second) // So that the credential is older than the revocation.
		if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1", n, err)
		}
		p.says("goodbye: revoked")
		p.closed(usher.CloseUnauthenticated, "revoked")
		id := loggedIn("bob", "s2")
		id.Expires = time.Now().Add(time.Minute)
		p = join(t, g, parted(nil), id)
		p.says("goodbye: expired")
		p.closed(usher.CloseUnauthenticated, "expired")
	})
}

// A revocation that applies later warns, admits, and then ends.
func TestRevocationApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		alice := loggedIn("alice", "s1")
		p := join(t, g, parted(nil), alice)
		other := join(t, g, parted(nil), loggedIn("bob", "s2"))
		time.Sleep(time.Second) // So that the credentials are older.
		at := time.Now().Add(30 * time.Second)
		if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", Applies: at}); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1", n, err)
		}
		p.says("until " + at.UTC().Format(time.TimeOnly))
		time.Sleep(29 * time.Second)
		late := join(t, g, parted(nil), alice)
		fresh := join(t, g, parted(func(context.Context, string) error { return nil }), *renewedIn(alice, time.Hour))
		p.says("goodbye: revoked")
		late.says("goodbye: revoked")
		if got := time.Now(); !got.Equal(at) {
			t.Errorf("got the end at %v, want %v", got, at)
		}
		p.closed(usher.CloseUnauthenticated, "revoked")
		late.closed(usher.CloseUnauthenticated, "revoked")
		fresh.sendFrame(ws.OpText, []byte("x"))
		fresh.says("adopted")
		if s.Len() != 2 {
			t.Errorf("got %d connections, want bob's and the younger of alice's", s.Len())
		}
		_ = other
		if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "x", Applies: time.Now().Add(time.Hour)}); err == nil {
			t.Error("got no error for a revocation that applies in an hour")
		}
	})
}

// An echo is a bus that brings a node its own revocations, as it may.
type echo struct{ deliver func(usher.Notice) int }

func (e *echo) Publish(_ context.Context, n usher.Notice) (int, error) {
	text, err := json.Marshal(n)
	if err != nil {
		return 0, err
	}
	e.deliver(decodeNotice(text))
	return 0, nil
}

func (e *echo) Subscribe(_ context.Context, deliver func(usher.Notice) int) (func(), error) {
	e.deliver = deliver
	return func() {}, nil
}

// A connection is warned once of each revocation that is to come.
func TestWarnedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		leave, err := s.Join(t.Context(), new(echo))
		if err != nil {
			t.Fatal(err)
		}
		defer leave()
		p := join(t, byMint(&s, "/chat"), parted(nil), loggedIn("alice", "s1"))
		time.Sleep(time.Second) // So that the credential is older.
		for _, after := range []time.Duration{40 * time.Second, 30 * time.Second} {
			at := time.Now().Add(after)
			if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", Applies: at}); err != nil {
				t.Fatal(err)
			}
			p.says("until " + at.UTC().Format(time.TimeOnly))
		}
		p.says("goodbye: revoked")
		p.closed(usher.CloseUnauthenticated, "revoked")
	})
}

// A handler is told of a fresh identity that it has not adopted itself, and sees it:
// by a renewal, or by asking again.
func TestPartingRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		asked := 0
		again := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			asked++
			return &usher.Identity{
				Subject: "bob", Token: fmt.Sprint("answer ", asked), Expires: time.Now().Add(time.Minute), Recheck: true,
			}, nil
		})
		told := takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			usher.OnParting(r.Context(), usher.Parting{Renewed: func() {
				id, err := usher.FromContext(r.Context())
				if err != nil {
					t.Error(err)
					return
				}
				go func() { _, _ = c.Write(textFrame("now by " + id.Token)) }()
			}})
			for {
				if _, _, err := wsutil.ReadClientData(c); err != nil {
					return
				}
				id := loggedIn("alice", "s1")
				id.Token = "adopted"
				if err := usher.Adopt(r.Context(), &id); err != nil {
					t.Error(err)
				}
				_, _ = c.Write(textFrame("asked"))
			}
		})
		p := join(t, byMint(&s, "/chat"), told, loggedIn("alice", "s1"))
		p.sendFrame(ws.OpText, []byte("x"))
		p.says("asked") // And not by what it has adopted.
		id := loggedIn("alice", "s1")
		id.Token = "another token"
		if n, err := s.Renew(t.Context(), &id); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want it renewed", n, err)
		}
		p.says("now by another token")
		q, _ := overPipe(t, &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(again)}, Sessions: &s}, told, authorized)
		q.status(http.StatusSwitchingProtocols)
		q.says("now by answer 2")
		q.says("now by answer 3")
		leaveAll(p, q)
	})
}

// What is refused on a connection is reported as at its door, and goes on.
func TestRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		var events []usher.Event
		g.Observe = func(_ context.Context, e usher.Event) {
			if e.Kind == usher.EventRefused {
				events = append(events, e)
			}
		}
		var why *usher.Refusal
		p := join(t, g, parted(func(ctx context.Context, _ string) error {
			why = usher.Refused(ctx, fmt.Errorf("it is late: %w", usher.ErrExpired))
			return nil
		}), loggedIn("alice", "s1"))
		time.Sleep(time.Minute)
		for range 2 {
			p.sendFrame(ws.OpText, []byte("x"))
			p.says("adopted")
		}
		if len(events) != 2 || events[1].Refusal != why || why.ID == "" || why.Word != "expired" || !errors.Is(why, usher.ErrExpired) ||
			events[1].Route != "/chat" || events[1].Took != 0 {
			t.Errorf("got %+v of %+v", events, why)
		}
	})
	if why := usher.Refused(t.Context(), usher.ErrExpired); why.ID == "" || why.Status != http.StatusUnauthorized {
		t.Errorf("got %+v without a guard", why)
	}
}

// A connection adopts another identity, of another subject too, and ends and is
// revoked with that.
func TestAdopt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		expired := errors.New("unset")
		p := join(t, g, parted(func(ctx context.Context, name string) error {
			id := loggedIn(name, "s-"+name)
			if name == "late" {
				id.Expires = time.Now()
				expired = usher.Adopt(ctx, &id)
				return nil
			}
			id.Issued, id.Expires = time.Now(), time.Now().Add(time.Hour)
			return usher.Adopt(ctx, &id)
		}), loggedIn("alice", "s1"))
		for _, name := range []string{"late", "bob", "carol"} {
			p.sendFrame(ws.OpText, []byte(name))
			p.says("adopted")
		}
		if !errors.Is(expired, usher.ErrExpired) {
			t.Errorf("got %v, want ErrExpired", expired)
		}
		for c := range s.All() {
			if c.Identity.Subject != "carol" {
				t.Errorf("got %q, want carol", c.Identity.Subject)
			}
		}
		time.Sleep(time.Second)
		for name, want := range map[string]int{"alice": 0, "bob": 0} {
			if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: name}); n != want || err != nil {
				t.Errorf("%s: got %d, %v, want %d", name, n, err, want)
			}
		}
		if n, err := s.Revoke(t.Context(), usher.Revocation{Session: "s-carol"}); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		p.says("goodbye: revoked")
		p.closed(usher.CloseUnauthenticated, "revoked")
	})
	if err := usher.Adopt(t.Context(), &usher.Identity{Subject: "x"}); err == nil {
		t.Error("got no error without a guard")
	}
	if usher.OnParting(t.Context(), usher.Parting{}) {
		t.Error("got a connection without a guard")
	}
}
