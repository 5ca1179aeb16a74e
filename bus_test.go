package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/usher-ws/usher"
)

// A site is three nodes on one bus.
type site struct {
	sessions [3]usher.Sessions
	buses    [3]*node
	guards   [3]*usher.Guard
}

func newSite(t *testing.T) *site {
	s, h := new(site), newHub()
	for i := range s.sessions {
		s.buses[i] = h.node()
		s.guards[i] = byMint(&s.sessions[i], "/chat")
		joinBus(t, &s.sessions[i], s.buses[i])
	}
	return s
}

// TestBusRevokes on all nodes, those included that start later, and lets in
// whoever logs in again, on each.
func TestBusRevokes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := loggedIn("alice", "s1")
		var peers []*peer
		for _, g := range s.guards {
			peers = append(peers, join(t, g, &witness{}, old), join(t, g, &witness{}, old))
		}
		time.Sleep(time.Second)
		n, err := s.sessions[1].Revoke(t.Context(), usher.Revocation{Subject: "alice", Reason: "lost phone"})
		if n != 2 || err != nil {
			t.Errorf("got %d, %v, want the 2 of this node", n, err)
		}
		for _, p := range peers {
			p.closed(usher.CloseUnauthenticated, "revoked")
		}
		later := new(usher.Sessions)
		joinBus(t, later, s.buses[0].hub.node())
		for _, g := range append(s.guards[:], byMint(later, "/chat")) {
			turnedAway(t, g, old, usher.CloseUnauthenticated, "revoked")
			p := join(t, g, &witness{}, loggedIn("alice", "s2"))
			p.echo("logged in again")
			leaveAll(p)
		}
		for _, b := range s.buses {
			for _, text := range b.published() {
				if strings.Contains(text, minted(old)) {
					t.Errorf("the bus carries a credential: %s", text)
				}
			}
		}
	})
}

// TestBusRenews on all nodes, and counts what they have, each once.
func TestBusRenews(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := loggedIn("alice", "s1")
		seen := make(chan usher.Claims, 10)
		told := make(chan struct{})
		h := takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			<-told
			id, err := usher.FromContext(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			seen <- id.Claims
			_ = untilEnd(c)
		})
		peers := []*peer{join(t, s.guards[0], h, old), join(t, s.guards[1], h, old), join(t, s.guards[2], h, old), join(t, s.guards[2], h, old)}
		other := byMint(&s.sessions[2], "/other")
		aside := join(t, other, idle, old)
		time.Sleep(50 * time.Minute)
		fresh := loggedIn("alice", "s1")
		// A number that float64 has not.
		fresh.Claims = usher.Claims{"role": "reader", "n": json.Number("9007199254740993"), "list": []any{"a", json.Number("1.50")}}
		n, err := s.sessions[0].Renew(t.Context(), &fresh, "/chat")
		if n != 4 || err != nil {
			t.Errorf("got %d connections, %v, want 4", n, err)
		}
		close(told)
		for range peers {
			if diff := cmp.Diff(fresh.Claims, <-seen); diff != "" {
				t.Errorf("claims (-want +got):\n%s", diff)
			}
		}
		begun := time.Now()
		aside.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 10*time.Minute {
			t.Errorf("got the end on the other route after %v, want 10m: it was not renewed", got)
		}
		for _, p := range peers {
			p.closed(usher.CloseUnauthenticated, "expired")
		}
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("got the end of the renewed after %v, want 1h", got)
		}
		if n, err := s.sessions[0].Renew(t.Context(), new(loggedIn("alice", "s1"))); n != 0 || err != nil {
			t.Errorf("got %d, %v for a session without connections, want 0", n, err)
		}
	})
}

// TestBusRenewsNoOther: a renewal from another node changes nothing for another
// subject, a revoked identity, one that is over, or one that is older.
func TestBusRenewsNoOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		time.Sleep(time.Hour)
		id := loggedIn("alice", "s1")
		p := join(t, s.guards[2], &witness{}, id)
		time.Sleep(time.Second)
		spoil := func(f func(id *usher.Identity)) *usher.Identity {
			id := loggedIn("alice", "s1")
			id.Expires = time.Now().Add(10 * time.Hour)
			f(&id)
			return &id
		}
		tests := []struct {
			name string
			id   *usher.Identity
			want int // Those that have the session, whatever it changes.
		}{
			{"subject", spoil(func(id *usher.Identity) { id.Subject = "bob" }), 0},
			{"issuer", spoil(func(id *usher.Identity) { id.Issuer = "https://other.test" }), 0},
			{"session", spoil(func(id *usher.Identity) { id.Session = "s2" }), 0},
			{"older", spoil(func(id *usher.Identity) { id.Issued = id.Issued.Add(-time.Minute) }), 1},
		}
		for _, tt := range tests {
			if n, err := s.sessions[0].Renew(t.Context(), tt.id); n != tt.want || err != nil {
				t.Errorf("%s: got %d, %v, want %d", tt.name, n, err, tt.want)
			}
		}
		for c := range s.sessions[2].All() {
			if !c.Identity.Expires.Equal(id.Expires) || c.Identity.Subject != "alice" {
				t.Errorf("got %+v, want it unchanged", c.Identity)
			}
		}
		begun := time.Now()
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Hour-time.Second {
			t.Errorf("got the end after %v, want 59m59s", got)
		}
	})
}

// TestBusDown: what can be done here is done, and the error says that others may
// not know.
func TestBusDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		id := loggedIn("alice", "s1")
		here, there := join(t, s.guards[0], &witness{}, id), join(t, s.guards[1], &witness{}, id)
		time.Sleep(time.Second)
		s.buses[0].fail(errCut)
		if n, err := s.sessions[0].Renew(t.Context(), new(loggedIn("alice", "s1"))); n != 1 || err != nil {
			t.Errorf("got %d, %v, want the one here renewed", n, err)
		}
		if n, err := s.sessions[0].Renew(t.Context(), new(loggedIn("bob", "s2"))); n != 0 || !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, errCut) {
			t.Errorf("got %d, %v for a session that is not here, want ErrUnavailable", n, err)
		}
		time.Sleep(time.Second)
		n, err := s.sessions[0].Revoke(t.Context(), usher.Revocation{Subject: "alice"})
		if n != 1 || !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, errCut) {
			t.Errorf("got %d, %v, want 1 and ErrUnavailable", n, err)
		}
		here.closed(usher.CloseUnauthenticated, "revoked")
		turnedAway(t, s.guards[0], id, usher.CloseUnauthenticated, "revoked")
		there.echo("did not hear of it")
		s.buses[0].fail(nil)
		if n, err := s.sessions[0].Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 0 || err != nil {
			t.Errorf("got %d, %v for the second try", n, err)
		}
		there.closed(usher.CloseUnauthenticated, "revoked")
	})
}

// TestBusJoin once at a time.
func TestBusJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		h := newHub()
		broken := h.node()
		broken.fail(errCut)
		if _, err := s.Join(t.Context(), broken); !errors.Is(err, errCut) {
			t.Errorf("got %v from Join with a bus that is down, want its error", err)
		}
		first, second, other := h.node(), h.node(), h.node()
		leave := joinBus(t, &s, first)
		if _, err := s.Join(t.Context(), second); err == nil {
			t.Error("joined two at a time")
		}
		leave()
		if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 0 || err != nil || len(first.published()) != 0 {
			t.Errorf("got %d, %v, and %v published after leave", n, err, first.published())
		}
		joinBus(t, &s, second)
		leave() // Once more, which must not leave the second.
		var peers usher.Sessions
		joinBus(t, &peers, other)
		if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "bob"}); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		if got := tried(byMint(&peers, "/chat"), usher.Identity{Subject: "bob", Issued: time.Now().Add(-1), Expires: time.Now().Add(time.Hour)}); got != http.StatusUnauthorized {
			t.Errorf("got status %d at the other node, want 401", got)
		}
	})
}

// TestBusAgain: a bus may deliver a notice again. That ends nobody who came in
// rightly after it: neither with a fresh token, nor with a password that could
// be used again after a minute.
func TestBusAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		b := newHub().node()
		joinBus(t, &s, b)
		g := byMint(&s, "/chat")
		now := time.Now().Round(0)
		again := usher.Notice{
			Revocation: &usher.Revocation{Subject: "alice", IssuedBefore: now}, Made: now, Until: now.Add(24 * time.Hour),
		}
		password := usher.Identity{Subject: "alice", Issuer: login, Recheck: true, Expires: now.Add(100 * time.Hour)}
		token := loggedIn("alice", "s1")
		token.Expires = now.Add(100 * time.Hour)
		early := join(t, g, &witness{}, password)
		if n := b.deliver(again); n != 1 {
			t.Errorf("got %d connections ended, want 1", n)
		}
		early.closed(usher.CloseUnauthenticated, "revoked")
		time.Sleep(time.Minute)
		p1, p2 := join(t, g, &witness{}, password), join(t, g, &witness{}, token)
		for range 3 {
			time.Sleep(5 * time.Hour)
			if n := b.deliver(again); n != 0 {
				t.Errorf("got %d connections ended by a notice of yesterday, want none", n)
			}
			p1.echo("still here")
			p2.echo("still here")
		}
		leaveAll(p1, p2)
	})
}

// TestBusClocks: a node whose clock is ahead revokes here all the same.
func TestBusClocks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		b := newHub().node()
		joinBus(t, &s, b)
		g := byMint(&s, "/chat")
		p := join(t, g, &witness{}, loggedIn("alice", "s1"))
		theirs := time.Now().Add(5 * time.Minute)
		if n := b.deliver(usher.Notice{
			Revocation: &usher.Revocation{Subject: "alice", IssuedBefore: theirs}, Made: theirs, Until: theirs.Add(24 * time.Hour),
		}); n != 1 {
			t.Errorf("got %d connections ended, want 1", n)
		}
		p.closed(usher.CloseUnauthenticated, "revoked")
	})
}

// TestBusMalformed notices do nothing.
func TestBusMalformed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		b := newHub().node()
		joinBus(t, &s, b)
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "s1")
		p := join(t, g, &witness{}, id)
		time.Sleep(time.Second)
		now := time.Now()
		good := usher.Revocation{Subject: "alice", IssuedBefore: now}
		fresh := loggedIn("alice", "s1")
		fresh.Expires = now.Add(10 * time.Hour)
		dead := fresh
		dead.Expires = now
		nobody := fresh
		nobody.Subject = ""
		tests := map[string]usher.Notice{
			"empty":               {Made: now, Until: now.Add(time.Hour)},
			"both":                {Revocation: &good, Renewal: &usher.Renewal{Identity: fresh}, Made: now, Until: now.Add(time.Hour)},
			"revocation of none":  {Revocation: &usher.Revocation{IssuedBefore: now}, Made: now, Until: now.Add(time.Hour)},
			"revocation of two":   {Revocation: &usher.Revocation{Subject: "alice", Token: "t", IssuedBefore: now}, Made: now, Until: now.Add(time.Hour)},
			"revocation, no time": {Revocation: &usher.Revocation{Subject: "alice"}, Made: now, Until: now.Add(time.Hour)},
			"revocation, no end":  {Revocation: &good, Made: now},
			"revocation, over":    {Revocation: &good, Made: now.Add(-time.Hour), Until: now},
			"renewal of nobody":   {Renewal: &usher.Renewal{Identity: nobody, Routes: []string{"/chat"}}, Made: now},
			"renewal, expired":    {Renewal: &usher.Renewal{Identity: dead, Routes: []string{"/chat"}}, Made: now},
			"renewal, no route":   {Renewal: &usher.Renewal{Identity: fresh, Routes: []string{"/other"}}, Made: now},
		}
		for name, n := range tests {
			if got := b.deliver(n); got != 0 {
				t.Errorf("%s: got %d connections, want none", name, got)
			}
			p.echo("still here")
			if got := tried(g, id); got != http.StatusOK {
				t.Errorf("%s: got status %d afterwards, want 200", name, got)
			}
		}
		for c := range s.All() {
			if !c.Identity.Expires.Equal(id.Expires) {
				t.Errorf("got the end at %v, want it unmoved at %v", c.Identity.Expires, id.Expires)
			}
		}
		leaveAll(p)
	})
}

// TestBusSlow: a bus that does not answer costs a caller no more than its
// context says, and a revocation is done here before it is asked.
func TestBusSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		joinBus(t, &s, slowBus{})
		p := join(t, byMint(&s, "/chat"), &witness{}, loggedIn("alice", "s1"))
		time.Sleep(time.Second)
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		begun := time.Now()
		done := make(chan error)
		go func() {
			_, err := s.Revoke(ctx, usher.Revocation{Subject: "alice"})
			done <- err
		}()
		p.closed(usher.CloseUnauthenticated, "revoked")
		if got := time.Since(begun); got != 0 {
			t.Errorf("got the end after %v, want it at once", got)
		}
		if err := <-done; !errors.Is(err, usher.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want ErrUnavailable and the context's end", err)
		}
	})
}

type slowBus struct{}

func (slowBus) Publish(ctx context.Context, _ usher.Notice) (int, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func (slowBus) Subscribe(context.Context, func(usher.Notice) int) (func(), error) {
	return func() {}, nil
}
