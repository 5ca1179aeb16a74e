package usher_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/usher-ws/usher"
)

// renewedIn returns id with a credential of now, for d.
func renewedIn(id usher.Identity, d time.Duration) *usher.Identity {
	id.Issued, id.Expires = time.Now(), time.Now().Add(d)
	return &id
}

// A claimant is a handler that sends its client the claim "role" whenever the
// client says something.
var claimant = takeover(func(r *http.Request, c net.Conn) {
	defer c.Close()
	for {
		if _, _, err := wsutil.ReadClientData(c); err != nil {
			return
		}
		id, err := usher.FromContext(r.Context())
		if err != nil {
			return
		}
		if _, err := c.Write(textFrame(id.Claims.String("role") + ".")); err != nil {
			return
		}
	}
})

// role asks a claimant.
func (p *peer) role(want string) {
	p.t.Helper()
	p.sendFrame(ws.OpText, []byte("?"))
	if got := string(p.receive().Payload); got != want+"." {
		p.t.Errorf("got role %q, want %q", got, want)
	}
}

// TestRenew moves the expiry, as often as a fresh credential comes, forward and
// back; the handler sees the new claims at once, also fewer.
func TestRenew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		var log eventlog
		g.Observe = log.observe
		id := loggedIn("alice", "s1")
		id.Claims = usher.Claims{"role": "admin"}
		p := join(t, g, claimant, id)
		p.role("admin")
		for range 100 {
			time.Sleep(59 * time.Minute)
			if n, err := s.Renew(t.Context(), renewedIn(id, time.Hour)); n != 1 || err != nil {
				t.Fatalf("got %d, %v, want 1", n, err)
			}
			p.role("admin")
		}
		id.Claims = nil
		if n, err := s.Renew(t.Context(), renewedIn(id, time.Minute)); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1", n, err)
		}
		begun := time.Now()
		p.role("")
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Minute {
			t.Errorf("got the end after %v, want the minute of the last credential", got)
		}
		synctest.Wait()
		events := log.events()
		if len(events) != 103 {
			t.Fatalf("got %d events, want an admission, 101 renewals and an end", len(events))
		}
		for i, e := range events {
			want := usher.EventRenewed
			switch i {
			case 0:
				want = usher.EventAdmitted
			case 102:
				want = usher.EventEnded
			}
			if e.Kind != want || e.Identity == nil || e.Identity.Subject != "alice" || e.Carrier != "bearer" || e.Route != "/chat" {
				t.Errorf("event %d: got %+v, want %s of alice by bearer", i, e, want)
			}
		}
	})
}

// TestRenewDerived has credentials without a session: they share the one that is
// derived from issuer and subject.
func TestRenewDerived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "")
		p := join(t, g, claimant, id)
		sid := join(t, g, claimant, loggedIn("alice", "s1"))
		elsewhere := id
		elsewhere.Issuer = "https://other.test"
		other := join(t, g, claimant, elsewhere)
		time.Sleep(30 * time.Minute)
		if n, err := s.Renew(t.Context(), renewedIn(id, time.Hour)); n != 1 || err != nil {
			t.Errorf("got %d, %v, want the one without a session of its own", n, err)
		}
		begun := time.Now()
		sid.closed(usher.CloseUnauthenticated, "expired")
		other.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 30*time.Minute {
			t.Errorf("got the end of the others after %v, want 30m", got)
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("got the end of the renewed after %v, want 1h", got)
		}
	})
}

// TestRenewRefused leaves everything as it was.
func TestRenewRefused(t *testing.T) {
	const claims = "admin"
	tests := []struct {
		name   string
		change func(id *usher.Identity)
		routes []string
		revoke bool
		want   int
		err    error
	}{
		{name: "another subject", change: func(id *usher.Identity) { id.Subject = "mallory" }, err: usher.ErrForbidden},
		{name: "another subject, another route", change: func(id *usher.Identity) { id.Subject = "mallory" }, routes: []string{"/other"}, err: usher.ErrForbidden},
		{name: "another issuer", change: func(id *usher.Identity) { id.Issuer = "https://other.test" }},
		{name: "no issuer", change: func(id *usher.Identity) { id.Issuer = "" }},
		{name: "another session", change: func(id *usher.Identity) { id.Session = "s2" }},
		{name: "derived session", change: func(id *usher.Identity) { id.Session = "" }},
		{name: "another route", routes: []string{"/other", "/chat/"}},
		{name: "expired", change: func(id *usher.Identity) { id.Expires = time.Now() }, err: usher.ErrExpired},
		{name: "revoked", revoke: true, change: func(id *usher.Identity) { id.Issued = time.Now().Add(-1); id.Token = "stolen" }, err: usher.ErrRevoked},
		{name: "too old", change: func(id *usher.Identity) { id.Issued = time.Now().Add(-24*time.Hour - 1) }, err: usher.ErrExpired},
		{name: "issued earlier", change: func(id *usher.Identity) { id.Issued = id.Issued.Add(-time.Hour) }, want: 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				g := byMint(&s, "/chat")
				id := loggedIn("alice", "s1")
				id.Claims = usher.Claims{"role": claims}
				begun := time.Now()
				p := join(t, g, claimant, id)
				time.Sleep(time.Minute)
				if tt.revoke {
					if n, err := s.Revoke(t.Context(), usher.Revocation{Token: "stolen"}); n != 0 || err != nil {
						t.Fatalf("got %d, %v", n, err)
					}
				}
				fresh := renewedIn(id, 10*time.Hour)
				fresh.Claims = usher.Claims{"role": "changed"}
				if tt.change != nil {
					tt.change(fresh)
				}
				n, err := s.Renew(t.Context(), fresh, tt.routes...)
				if n != tt.want || !errors.Is(err, tt.err) {
					t.Errorf("got %d, %v, want %d, %v", n, err, tt.want, tt.err)
				}
				p.role(claims)
				p.closed(usher.CloseUnauthenticated, "expired")
				if got := time.Since(begun); got != time.Hour {
					t.Errorf("got the end after %v, want 1h as ever", got)
				}
			})
		})
	}
	var s usher.Sessions
	for _, id := range []*usher.Identity{nil, {}, {Issuer: login, Session: "s1"}} {
		if n, err := s.Renew(t.Context(), id); n != 0 || err == nil {
			t.Errorf("got %d, %v for %+v, want an error", n, err, id)
		}
	}
}

// TestRenewRoutes renews those that came in by a route that accepts the
// credential; without a route it is all.
func TestRenewRoutes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		id := loggedIn("alice", "s1")
		chatting := join(t, byMint(&s, "/chat"), claimant, id)
		news := join(t, byMint(&s, "/news"), claimant, id)
		files := join(t, byMint(&s, "/files"), claimant, id)
		begun := time.Now()
		time.Sleep(time.Minute)
		if n, err := s.Renew(t.Context(), renewedIn(id, 2*time.Hour), "/chat", "/news"); n != 2 || err != nil {
			t.Errorf("got %d, %v, want those of two routes", n, err)
		}
		files.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("got the end after %v, want 1h", got)
		}
		if n, err := s.Renew(t.Context(), renewedIn(id, 2*time.Hour)); n != 2 || err != nil {
			t.Errorf("got %d, %v, want all that are left", n, err)
		}
		begun = time.Now()
		chatting.closed(usher.CloseUnauthenticated, "expired")
		news.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 2*time.Hour {
			t.Errorf("got the end after %v, want 2h", got)
		}
	})
}

// TestRenewReplacesRecheck: after a token has renewed what a password opened,
// the password is not asked about again, and the token's end counts. The other
// way round the connection ends with what the renewal says.
func TestRenewReplacesRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		sc := &script{answers: fns(yes("alice", login, time.Minute), no(errors.New("not to be asked")))}
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(sc)}, Sessions: &s, Route: "/chat", Log: quiet()}
		p, done := overPipe(t, g, idle, authorized)
		p.status(http.StatusSwitchingProtocols)
		time.Sleep(30 * time.Second)
		begun := time.Now()
		if n, err := s.Renew(t.Context(), renewedIn(usher.Identity{Subject: "alice", Issuer: login}, time.Hour)); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1", n, err)
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("got the end after %v, want the token's hour", got)
		}
		if <-done; len(sc.asked) != 1 {
			t.Errorf("got asked %d times, want once, at the handshake", len(sc.asked))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		id := loggedIn("alice", "s1")
		p := join(t, byMint(&s, "/chat"), claimant, id)
		begun := time.Now()
		fresh := renewedIn(id, 2*time.Hour)
		fresh.Recheck, fresh.Issued = true, time.Time{}
		if n, err := s.Renew(t.Context(), fresh); n != 1 || err != nil {
			t.Fatalf("got %d, %v, want 1", n, err)
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 2*time.Hour {
			t.Errorf("got the end after %v, want 2h: there is nobody to ask", got)
		}
	})
}

// TestLifetime ends a connection whatever its credential says, and however often
// it is renewed or asked about.
func TestLifetime(t *testing.T) {
	const most = 90 * time.Minute
	tests := []struct {
		name    string
		recheck bool
		expires time.Duration
		want    time.Duration
	}{
		{"longer credential", false, 10 * time.Hour, most},
		{"shorter credential", false, time.Hour, time.Hour},
		{"renewed", false, 10 * time.Minute, most},
		{"asked again", true, 10 * time.Minute, most},
		{"the same", false, most, most},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				id := usher.Identity{Subject: "alice", Issuer: login, Recheck: tt.recheck}
				asked := 0
				v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
					asked++
					id := id
					id.Expires = time.Now().Add(tt.expires)
					return &id, nil
				})
				g := byBearer(v)
				g.Sessions, g.Limits = &s, usher.Limits{Lifetime: most}
				p, done := overPipe(t, g, idle, authorized)
				begun := time.Now()
				p.status(http.StatusSwitchingProtocols)
				if tt.name == "renewed" {
					go func() {
						for {
							time.Sleep(9 * time.Minute)
							if n, _ := s.Renew(t.Context(), renewedIn(id, 10*time.Minute)); n == 0 {
								return
							}
						}
					}()
				}
				p.closed(usher.CloseUnauthenticated, "expired")
				if got := time.Since(begun); got != tt.want {
					t.Errorf("got the end after %v, want %v", got, tt.want)
				}
				<-done
				time.Sleep(10 * time.Minute) // Until whoever renews has found it gone.
				// Each answer is for 10 minutes, less the 10 s ahead.
				if most := 10; asked > most {
					t.Errorf("got the verifier asked %d times, want at most %d: no answer moves the end", asked, most)
				}
			})
		})
	}
}
