package usher_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestAll lists what is live, the oldest first, as it was last renewed.
func TestAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		begun := time.Now()
		var peers []*peer
		for i := range 5 {
			peers = append(peers, join(t, g, &witness{}, loggedIn(fmt.Sprint("user ", i), "")))
			time.Sleep(time.Second)
		}
		page, _ := overPipe(t, byMint(&s, "/news"), &witness{}, bearing(loggedIn("user 5", "")), ownPage)
		page.status(http.StatusSwitchingProtocols)
		peers = append(peers, page)
		id := loggedIn("user 2", "")
		id.Claims = usher.Claims{"role": "fresh"}
		if _, err := s.Renew(t.Context(), &id); err != nil {
			t.Fatal(err)
		}
		i := 0
		for c := range s.All() {
			want := usher.Connection{
				ID: uint64(i + 1), Identity: c.Identity, Route: "/chat", Carrier: "bearer",
				Client: netip.MustParsePrefix("192.0.2.1/32"), Since: begun.Add(time.Duration(i) * time.Second).Round(0),
			}
			if i == 5 {
				want.Route, want.Origin = "/news", "http://example.com"
			}
			if c != want || c.Identity.Subject != fmt.Sprint("user ", i) || (c.Identity.Claims.String("role") == "fresh") != (i == 2) {
				t.Errorf("got %+v of %+v, want %+v of user %d", c, c.Identity, want, i)
			}
			i++
		}
		if i != 6 || s.Len() != 6 {
			t.Errorf("got %d listed and %d counted, want 6", i, s.Len())
		}
		for range s.All() {
			break // It may be left early.
		}
		for c := range s.All() { // And its connections may be ended on the way.
			if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: c.Identity.Subject, IssuedBefore: time.Now().Add(1)}); err != nil {
				t.Fatal(err)
			}
		}
		for _, p := range peers {
			p.closed(usher.CloseUnauthenticated, "revoked")
		}
		synctest.Wait()
		if n := len(live(t, &s)) + s.Len(); n != 0 {
			t.Errorf("got %d in the end, want none", n)
		}
	})
}

// TestSessionsChurn has connections come and go by the hundred, by all the ways
// there are, while others look: whoever is listed is one that came, none is
// listed twice, and none is left over.
func TestSessionsChurn(t *testing.T) {
	var s usher.Sessions
	g := byMint(&s, "/chat")
	g.Limits = usher.Limits{PerIdentity: 20, ReplaceOldest: true}
	srv := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		_ = untilEnd(c)
	}))
	const clients, rounds = 16, 30
	var over atomic.Bool
	var coming, looking sync.WaitGroup
	for i := range clients {
		coming.Go(func() {
			for range rounds {
				churn(t, srv, i)
			}
		})
	}
	looking.Go(func() {
		for !over.Load() {
			ids := live(t, &s) // Which sees that they ascend.
			if len(ids) > clients+3*srvLinger {
				t.Errorf("got %d listed of %d clients", len(ids), clients)
			}
			s.Len()
		}
	})
	looking.Go(func() {
		for !over.Load() {
			subject := fmt.Sprint("user ", rand.IntN(4))
			if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: subject, IssuedBefore: time.Now().Add(-time.Millisecond)}); err != nil {
				t.Error(err)
			}
		}
	})
	looking.Go(func() {
		for !over.Load() {
			subject := fmt.Sprint("user ", rand.IntN(4))
			if _, err := s.Renew(t.Context(), new(loggedIn(subject, "s"+subject))); err != nil && !errors.Is(err, usher.ErrRevoked) {
				t.Error(err)
			}
		}
	})
	coming.Wait()
	over.Store(true)
	looking.Wait()
	srv.idle(t)
	for until := time.Now().Add(patience); s.Len() > 0 && time.Now().Before(until); {
		time.Sleep(time.Millisecond)
	}
	if n := len(live(t, &s)) + s.Len(); n != 0 {
		t.Errorf("got %d left over", n)
	}
}

// srvLinger is how many connections may be closed at one end only.
const srvLinger = 16

// churn is one connection of a client's: it leaves soon, in one way or another.
func churn(t *testing.T, srv *server, i int) {
	subject := fmt.Sprint("user ", i%4)
	id := loggedIn(subject, "s"+subject)
	if rand.IntN(3) == 0 {
		id.Expires = time.Now().Add(rand.N(20 * time.Millisecond))
	}
	p := dial(t, srv.addr, "")
	defer p.Close()
	p.say(upgrade(srv.addr, "/chat", bearing(id)))
	res, err := http.ReadResponse(p.rd, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		return
	}
	switch rand.IntN(3) {
	case 0: // Gone without a word.
	case 1:
		p.sendFrame(ws.OpClose, []byte{3, 0xe8})
	case 2:
		_ = p.SetReadDeadline(time.Now().Add(rand.N(30 * time.Millisecond)))
		_, _ = p.rd.ReadByte()
	}
}
