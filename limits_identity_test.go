package usher_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestPerIdentity refuses the newest at the bound, which is one for each issuer
// and subject, on each route; a place is free as soon as a connection is on its
// way out.
func TestPerIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		limits := usher.Limits{PerIdentity: 2}
		g, other := byMint(&s, "/chat"), byMint(&s, "/other")
		g.Limits, other.Limits = limits, limits
		first := loggedIn("alice", "s1")
		first.Expires = time.Now().Add(time.Minute)
		p1, p2 := join(t, g, &witness{}, first), join(t, g, &witness{}, loggedIn("alice", "s2"))
		third := loggedIn("alice", "s3")
		turnedAway(t, g, third, usher.CloseTooMany, "too_many")
		if got := tried(g, third); got != http.StatusOK {
			t.Errorf("got status %d for a plain request, want 200: it is no connection", got)
		}

		elsewhere := third
		elsewhere.Issuer = "https://other.test"
		anybody := []*peer{
			join(t, g, &witness{}, elsewhere), join(t, g, &witness{}, loggedIn("bob", "s1")), join(t, other, &witness{}, third),
		}
		p1.echo("the older stay")
		p2.echo("the older stay")

		p1.receive() // Its goodbye; it does not answer.
		p3 := join(t, g, &witness{}, third)
		turnedAway(t, g, third, usher.CloseTooMany, "too_many")
		leaveAll(p2)
		synctest.Wait()
		p4 := join(t, g, &witness{}, third)
		turnedAway(t, g, third, usher.CloseTooMany, "too_many")
		leaveAll(append(anybody, p3, p4)...)
	})
}

// TestReplaceOldest puts the oldest out, which is told that it was replaced.
func TestReplaceOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		g.Limits = usher.Limits{PerIdentity: 2, ReplaceOldest: true}
		apart := byMint(&s, "/other")
		aside := join(t, apart, &witness{}, loggedIn("alice", "s0"))
		var peers []*peer
		for i := range 10 {
			peers = append(peers, join(t, g, &witness{}, loggedIn("alice", fmt.Sprint("s", i))))
			if i >= 2 {
				peers[i-2].closed(usher.CloseForbidden, "replaced")
			}
			if got := len(live(t, &s)); got != min(i+1, 2)+1 {
				t.Errorf("got %d listed after %d, want %d", got, i+1, min(i+1, 2)+1)
			}
		}
		aside.echo("on another route")
		peers[8].echo("the last two stay")
		peers[9].echo("the last two stay")
		leaveAll(aside, peers[8], peers[9])
	})
}

// TestReplaceOldestRenewed: a session that changed its name does not count as
// younger.
func TestReplaceOldestRenewed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		var asked atomic.Int32
		renamed := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{
				Subject: "alice", Issuer: login, Session: fmt.Sprint("name ", asked.Add(1)),
				Expires: time.Now().Add(10 * time.Minute), Recheck: true,
			}, nil
		})
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(renamed)}, Sessions: &s, Route: "/chat", Log: quiet()}
		p1, _ := overPipe(t, g, &witness{}, authorized)
		p1.status(http.StatusSwitchingProtocols)
		by := byMint(&s, "/chat")
		by.Limits = usher.Limits{PerIdentity: 2, ReplaceOldest: true}
		p2 := join(t, by, &witness{}, loggedIn("alice", "s2"))
		time.Sleep(9*time.Minute + 55*time.Second)
		if n := asked.Load(); n != 2 {
			t.Fatalf("got asked %d times, want 2", n)
		}
		p3 := join(t, by, &witness{}, loggedIn("alice", "s3"))
		p1.closed(usher.CloseForbidden, "replaced")
		p2.echo("younger")
		leaveAll(p2, p3)
	})
}

// TestPerIdentityFirstMessage counts those whose credential came late, too.
func TestPerIdentityFirstMessage(t *testing.T) {
	for _, replace := range []bool{false, true} {
		t.Run(fmt.Sprintf("replace %v", replace), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				g := &usher.Guard{
					Carriers: []usher.Carrier{usher.FirstMessage(mint)}, Sessions: &s, Route: "/chat", Log: quiet(),
					Limits: usher.Limits{PerIdentity: 1, ReplaceOldest: replace},
				}
				open := func() *peer {
					p, _ := overPipe(t, g, &witness{})
					p.status(http.StatusSwitchingProtocols)
					return p
				}
				auth := func(p *peer) {
					p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"`+minted(loggedIn("alice", "s1"))+`"}`))
				}
				p1, p2 := open(), open() // Waiting, neither counts.
				auth(p2)
				p2.echo("first")
				auth(p1)
				if replace {
					p2.closed(usher.CloseForbidden, "replaced")
					p1.echo("in its place")
					leaveAll(p1)
					return
				}
				p1.closed(usher.CloseTooMany, "too_many")
				p2.echo("still here")
				leaveAll(p2)
			})
		})
	}
}

// TestPerIdentityRace has many come at once: no more get in than may, and with
// ReplaceOldest all do and as many stay as may.
func TestPerIdentityRace(t *testing.T) {
	const n, most = 200, 5
	for _, replace := range []bool{false, true} {
		t.Run(fmt.Sprintf("replace %v", replace), func(t *testing.T) {
			var s usher.Sessions
			var now, peak atomic.Int64
			g := byMint(&s, "/chat")
			g.Limits = usher.Limits{PerIdentity: most, ReplaceOldest: replace}
			srv := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, _, _, err := ws.UpgradeHTTP(r, w)
				if err != nil {
					return // Replaced before it was taken over.
				}
				defer c.Close()
				peak.Store(max(peak.Load(), now.Add(1)))
				defer now.Add(-1)
				_ = untilEnd(c)
			}))
			id := loggedIn("alice", "s1")
			statuses := make(chan string, n)
			var all sync.WaitGroup
			for range n {
				p := dial(t, srv.addr, "")
				all.Go(func() {
					p.say(upgrade(srv.addr, "/chat", bearing(id)))
					res, err := http.ReadResponse(p.rd, nil)
					if err != nil {
						statuses <- "cut"
						return
					}
					statuses <- res.Status
				})
			}
			all.Wait()
			close(statuses)
			sum := make(map[string]int)
			for st := range statuses {
				sum[strings.Fields(st)[0]]++
			}
			if got := len(live(t, &s)); got != most {
				t.Errorf("got %d live connections, want %d", got, most)
			}
			switch {
			case !replace && (sum["101"] != most || sum["429"] != n-most || peak.Load() > most):
				t.Errorf("got %v, at most %d at a time, want %d let in", sum, peak.Load(), most)
			case replace && sum["101"]+sum["cut"] != n:
				t.Errorf("got %v, want everybody let in", sum)
			}
		})
	}
}

// TestLimitsNegative are refused.
func TestLimitsNegative(t *testing.T) {
	for name, l := range map[string]usher.Limits{"lifetime": {Lifetime: -1}, "per identity": {PerIdentity: -1}} {
		g := &usher.Guard{Limits: l}
		if err := g.Validate(); err == nil {
			t.Errorf("%s: got no error of Validate", name)
		}
	}
}
