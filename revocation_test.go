package usher_test

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// TestRevoke ends those that a revocation names, and no others, and refuses
// what opened them; who logs in again gets in.
func TestRevoke(t *testing.T) {
	other := "https://other.test"
	who := map[string]usher.Identity{
		"alice at login": {Subject: "alice", Issuer: login, Session: "s1", Token: "t1"},
		"alice at other": {Subject: "alice", Issuer: other, Session: "s2", Token: "t2"},
		"bob at login":   {Subject: "bob", Issuer: login, Session: "s2", Token: "t3"},
		"bob at other":   {Subject: "bob", Issuer: other, Session: "s1", Token: "t1"},
		// Of tokens that were exchanged for another issuer's.
		"dan by idp":  {Subject: "dan", Issuer: "https://ours.test", Session: "s3", Token: "t4", Claims: usher.Claims{"idp": "https://idp.test"}},
		"dora by idp": {Subject: "dora", Issuer: "https://ours.test", Session: "s4", Token: "t5", Claims: usher.Claims{"idp": "https://idp.test"}},
		"eve in a":    {Subject: "eve", Issuer: login, Session: "s5", Token: "t6", Claims: usher.Claims{"groups": []any{"b", "a", 1}}},
		"fay in a":    {Subject: "fay", Issuer: other, Session: "s6", Token: "t7", Claims: usher.Claims{"groups": "a"}},
		"gus in b":    {Subject: "gus", Issuer: login, Session: "s7", Token: "t8", Claims: usher.Claims{"groups": []string{"b"}}},
	}
	tests := []struct {
		name   string
		revoke usher.Revocation
		want   []string
	}{
		{"subject", usher.Revocation{Subject: "alice"}, []string{"alice at login", "alice at other"}},
		{"subject of issuer", usher.Revocation{Subject: "alice", Issuer: other}, []string{"alice at other"}},
		{"session", usher.Revocation{Session: "s1"}, []string{"alice at login", "bob at other"}},
		{"session of issuer", usher.Revocation{Session: "s1", Issuer: login}, []string{"alice at login"}},
		{"token", usher.Revocation{Token: "t1"}, []string{"alice at login", "bob at other"}},
		{"token of issuer", usher.Revocation{Token: "t1", Issuer: other}, []string{"bob at other"}},
		{"issuer", usher.Revocation{Issuer: login}, []string{"alice at login", "bob at login", "eve in a", "gus in b"}},
		{"group", usher.Revocation{Group: "a"}, []string{"eve in a", "fay in a"}},
		{"group of issuer", usher.Revocation{Group: "b", Issuer: login}, []string{"eve in a", "gus in b"}},
		{"group that is no text", usher.Revocation{Group: "1"}, nil},
		{"issuer of what was exchanged", usher.Revocation{Issuer: "https://idp.test"}, []string{"dan by idp", "dora by idp"}},
		{"subject of such an issuer", usher.Revocation{Subject: "dan", Issuer: "https://idp.test"}, []string{"dan by idp"}},
		{"session of such an issuer", usher.Revocation{Session: "s4", Issuer: "https://idp.test"}, []string{"dora by idp"}},
		{"session of who exchanged", usher.Revocation{Session: "s4", Issuer: "https://ours.test"}, []string{"dora by idp"}},
		{"session of another issuer", usher.Revocation{Session: "s4", Issuer: other}, nil},
		{"nobody who is there", usher.Revocation{Subject: "carol"}, nil},
		{"name of another kind", usher.Revocation{Subject: "s1"}, nil},
		{"subject of nobody's issuer", usher.Revocation{Subject: "alice", Issuer: "https://third.test"}, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				g := byMint(&s, "/chat")
				peers := make(map[string]*peer)
				old := make(map[string]usher.Identity)
				for name, id := range who {
					id.Issued, id.Expires = time.Now(), time.Now().Add(time.Hour)
					old[name], peers[name] = id, join(t, g, &witness{}, id)
				}
				time.Sleep(time.Second)
				got, err := s.Revoke(t.Context(), tt.revoke)
				if err != nil || got != len(tt.want) {
					t.Errorf("got %d connections, %v, want %d", got, err, len(tt.want))
				}
				if n := len(live(t, &s)); n != len(who)-len(tt.want) {
					t.Errorf("got %d connections listed at once, want %d", n, len(who)-len(tt.want))
				}
				for name, p := range peers {
					fresh := old[name]
					fresh.Issued = time.Now()
					if slices.Contains(tt.want, name) {
						p.closed(usher.CloseUnauthenticated, "revoked")
						turnedAway(t, g, old[name], usher.CloseUnauthenticated, "revoked")
					} else {
						p.echo("still here")
						if got := tried(g, old[name]); got != http.StatusOK {
							t.Errorf("%s: got status %d with a credential that nobody revoked", name, got)
						}
					}
					again := join(t, g, &witness{}, fresh)
					again.echo("back")
					leaveAll(p, again)
				}
				synctest.Wait()
				if n := s.Len(); n != 0 {
					t.Errorf("got %d live connections in the end, want none", n)
				}
			})
		})
	}
}

// TestRevokeIssuedBefore spares what was issued at that time or later: of the
// connections, and of the credentials that come. Times in tokens are mostly in
// whole seconds, so a login within the second of the revocation does not count.
func TestRevokeIssuedBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		first := loggedIn("alice", "s1")
		time.Sleep(10 * time.Second)
		second := loggedIn("alice", "s2")
		p1, p2 := join(t, g, &witness{}, first), join(t, g, &witness{}, second)
		time.Sleep(10 * time.Second)
		n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", IssuedBefore: second.Issued})
		if n != 1 || err != nil {
			t.Errorf("got %d, %v, want the first connection ended", n, err)
		}
		p1.closed(usher.CloseUnauthenticated, "revoked")
		p2.echo("spared")
		if got := tried(g, second); got != http.StatusOK {
			t.Errorf("got status %d for what was issued just then, want 200", got)
		}
		second.Issued = second.Issued.Add(-1)
		if got := tried(g, second); got != http.StatusUnauthorized {
			t.Errorf("got status %d for what was issued a nanosecond earlier, want 401", got)
		}

		time.Sleep(300 * time.Millisecond)
		whole := loggedIn("alice", "s3")
		whole.Issued = whole.Issued.Truncate(time.Second) // As "iat" is.
		p3 := join(t, g, &witness{}, whole)
		if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 2 || err != nil {
			t.Errorf("got %d, %v, want the other two ended", n, err)
		}
		p2.closed(usher.CloseUnauthenticated, "revoked")
		p3.closed(usher.CloseUnauthenticated, "revoked")
		time.Sleep(300 * time.Millisecond)
		turnedAway(t, g, whole, usher.CloseUnauthenticated, "revoked")
		time.Sleep(400 * time.Millisecond) // The next second.
		again := loggedIn("alice", "s4")
		again.Issued = again.Issued.Truncate(time.Second)
		p4 := join(t, g, &witness{}, again)
		p4.echo("in again")
		leaveAll(p4)
	})
}

// TestRevokeUndated: a credential that does not say when it was issued counts
// as older. A password can be used again after a minute, and a token when the
// revocation is forgotten.
func TestRevokeUndated(t *testing.T) {
	const keep = 2 * time.Hour
	for _, tt := range []struct {
		name    string
		recheck bool
		refused time.Duration
	}{{"password", true, time.Minute}, {"token", false, keep}} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := usher.Sessions{Keep: keep}
				g := byMint(&s, "/chat")
				id := usher.Identity{
					Subject: "alice", Issuer: login, Recheck: tt.recheck, Expires: time.Now().Add(100 * time.Hour),
				}
				p := join(t, g, &witness{}, id)
				n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", IssuedBefore: time.Now().Add(-time.Hour)})
				if n != 1 || err != nil {
					t.Errorf("got %d, %v, want it ended", n, err)
				}
				p.closed(usher.CloseUnauthenticated, "revoked")
				time.Sleep(tt.refused - 1)
				turnedAway(t, g, id, usher.CloseUnauthenticated, "revoked")
				time.Sleep(time.Nanosecond)
				p = join(t, g, &witness{}, id)
				p.echo("in again")
				leaveAll(p)
			})
		})
	}
}

// TestRevokeRecheck: a password that was revoked a moment ago does not get in
// by being asked about again either, and a connection from after the minute
// stays when it is.
func TestRevokeRecheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		sc := &script{answers: fns(yes("alice", login, 10*time.Second), yes("alice", login, 10*time.Second), no(usher.ErrExpired))}
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(sc)}, Sessions: &s, Log: quiet()}
		if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		begun := time.Now()
		p, done := overPipe(t, g, idle, authorized)
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired") // And not "revoked".
		if got := time.Since(begun); got != 16*time.Second {
			t.Errorf("got the end after %v, want 16s, at the second recheck", got)
		}
		<-done
	})
}

// TestRevokeTickets: those made before are refused after, and what is made
// after is good.
func TestRevokeTickets(t *testing.T) {
	for _, recheck := range []bool{false, true} {
		t.Run(fmt.Sprintf("recheck %v", recheck), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				var tickets usher.Tickets
				g := &usher.Guard{
					Carriers: []usher.Carrier{usher.Ticket("", &tickets), usher.Subprotocol(mint)},
					Sessions: &s, Route: "/chat", Log: quiet(),
				}
				issue := func() string {
					id := loggedIn("alice", "s1")
					if recheck {
						id.Issued, id.Recheck = time.Time{}, true
					}
					ticket, _, err := tickets.Make(&id, "http://example.com", "/chat")
					if err != nil {
						t.Fatal(err)
					}
					return "Sec-WebSocket-Protocol: chat, usher.ticket." + ticket.Reveal()
				}
				used, kept := issue(), issue()
				p, _ := overPipe(t, g, &witness{}, used, ownPage)
				p.status(http.StatusSwitchingProtocols)
				time.Sleep(time.Second)
				if n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); n != 1 || err != nil {
					t.Errorf("got %d, %v, want the ticket's connection ended", n, err)
				}
				p.closed(usher.CloseUnauthenticated, "revoked")
				p, _ = overPipe(t, g, &witness{}, kept, ownPage)
				p.status(http.StatusSwitchingProtocols)
				p.closed(usher.CloseUnauthenticated, "revoked")
				p, _ = overPipe(t, g, &witness{}, issue(), ownPage)
				p.status(http.StatusSwitchingProtocols)
				p.echo("with a ticket of after")
				leaveAll(p)
			})
		})
	}
}

// TestRevokeBad has revocations that are none: nothing is done, and the error
// says why.
func TestRevokeBad(t *testing.T) {
	long := strings.Repeat("x", 8193)
	tests := []struct {
		name   string
		revoke func() usher.Revocation
		want   string
	}{
		{"nobody", func() usher.Revocation { return usher.Revocation{Reason: "because"} }, "nobody"},
		{"two", func() usher.Revocation { return usher.Revocation{Subject: "alice", Session: "s1"} }, "more than one"},
		{"three", func() usher.Revocation { return usher.Revocation{Subject: "alice", Session: "s1", Token: "t"} }, "more than one"},
		{"long subject", func() usher.Revocation { return usher.Revocation{Subject: long} }, "1024"},
		{"long issuer", func() usher.Revocation { return usher.Revocation{Subject: "alice", Issuer: long} }, "1024"},
		{"long reason", func() usher.Revocation {
			return usher.Revocation{Subject: "alice", Reason: strings.Repeat("x", 257)}
		}, "256"},
		{"ahead", func() usher.Revocation {
			return usher.Revocation{Subject: "alice", IssuedBefore: time.Now().Add(time.Minute + 1)}
		}, "ahead"},
		{"year 9999", func() usher.Revocation {
			return usher.Revocation{Subject: "alice", IssuedBefore: time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)}
		}, "ahead"},
		{"beyond any duration", func() usher.Revocation {
			return usher.Revocation{Subject: "alice", IssuedBefore: time.Unix(1<<61, 0)}
		}, "ahead"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				bus := newHub().node()
				joinBus(t, &s, bus)
				g := byMint(&s, "/chat")
				id := loggedIn("alice", "s1")
				p := join(t, g, &witness{}, id)
				time.Sleep(time.Second)
				n, err := s.Revoke(t.Context(), tt.revoke())
				if n != 0 || err == nil || !strings.Contains(err.Error(), tt.want) {
					t.Errorf("got %d, %v, want an error with %q", n, err, tt.want)
				}
				if errors.Is(err, usher.ErrUnavailable) {
					t.Errorf("got %v, which says to try again", err)
				}
				p.echo("still here")
				if got := tried(g, id); got != http.StatusOK {
					t.Errorf("got status %d, want 200", got)
				}
				if len(bus.published()) != 0 {
					t.Error("other nodes were told")
				}
				leaveAll(p)
			})
		})
	}
}

// TestRevokeAhead takes a time up to a minute ahead, for issuers whose clocks
// are.
func TestRevokeAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "s1")
		id.Issued = time.Now().Add(59 * time.Second)
		p := join(t, g, &witness{}, id)
		n, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", IssuedBefore: time.Now().Add(time.Minute)})
		if n != 1 || err != nil {
			t.Errorf("got %d, %v, want it ended", n, err)
		}
		p.closed(usher.CloseUnauthenticated, "revoked")
		turnedAway(t, g, id, usher.CloseUnauthenticated, "revoked")
	})
}

// TestRevokeReason is for the operator: no client sees it.
func TestRevokeReason(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const reason = "left the company\nlevel=INFO msg=forged"
		var s usher.Sessions
		var b logbook
		g := byMint(&s, "/chat")
		g.Log = b.logger()
		var events eventlog
		g.Observe = events.observe
		id := loggedIn("alice", "s1")
		p := join(t, g, &witness{}, id)
		time.Sleep(time.Second)
		if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice", Reason: reason}); err != nil {
			t.Fatal(err)
		}
		explain := p.closed(usher.CloseUnauthenticated, "revoked") // Which sees that nothing else is in it.
		turnedAway(t, g, id, usher.CloseUnauthenticated, "revoked")
		var seen []error
		for _, e := range events.events() {
			if e.Refusal != nil {
				seen = append(seen, e.Refusal)
			}
		}
		if len(seen) != 2 {
			t.Fatalf("got %d refusals reported, want that of the end and that of the handshake", len(seen))
		}
		for _, err := range seen {
			if !errors.Is(err, usher.ErrRevoked) || !strings.Contains(err.Error(), "left the company") {
				t.Errorf("got %v, want ErrRevoked and the reason", err)
			}
		}
		log := b.String()
		if !strings.Contains(log, explain) || !strings.Contains(log, "left the company") {
			t.Errorf("log has neither the explain id %s nor the reason:\n%s", explain, log)
		}
		if strings.Contains(log, "\nlevel=INFO msg=forged") {
			t.Error("a reason can forge a line of the log")
		}
	})
}

// TestKeep: what was issued longer ago than revocations are kept could have been
// revoked before. It gets in where nobody can revoke.
func TestKeep(t *testing.T) {
	tests := []struct {
		name string
		keep time.Duration
		age  time.Duration
		want int
		own  bool // The Guard's own Sessions.
	}{
		{name: "young", age: 23 * time.Hour, want: 200},
		{name: "just young enough", age: 24 * time.Hour, want: 200},
		{name: "too old", age: 24*time.Hour + 1, want: 401},
		{name: "ancient", age: 1 << 62, want: 401},
		{name: "too old, but nobody can revoke", age: 24*time.Hour + 1, want: 200, own: true},
		{name: "kept for an hour", keep: time.Hour, age: time.Hour + 1, want: 401},
		{name: "kept for a week", keep: 7 * 24 * time.Hour, age: 6 * 24 * time.Hour, want: 200},
		{name: "negative is the default", keep: -1, age: 24 * time.Hour, want: 200},
		{name: "negative is not for ever", keep: -1, age: 24*time.Hour + 1, want: 401},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &usher.Sessions{Keep: tt.keep}
				if tt.own {
					s = nil
				}
				g := byMint(s, "/chat")
				id := loggedIn("alice", "s1")
				id.Issued = id.Issued.Add(-tt.age)
				if got := tried(g, id); got != tt.want {
					t.Errorf("got status %d, want %d", got, tt.want)
				}
				if tt.want == 401 {
					turnedAway(t, g, id, usher.CloseUnauthenticated, "expired")
				}
				id.Recheck = true // Its verifier vouches for it now.
				if got := tried(g, id); got != http.StatusOK {
					t.Errorf("got status %d for what can be asked about again, want 200", got)
				}
				id.Recheck, id.Issued = false, time.Time{}
				if got := tried(g, id); got != http.StatusOK {
					t.Errorf("got status %d for what has no date, want 200", got)
				}
			})
		})
	}
}

// TestRevocationIsForgotten after Keep, and not before; a second one of the same
// name is not undone by the first's end.
func TestRevocationIsForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := usher.Sessions{Keep: time.Hour}
		g := byMint(&s, "/chat")
		undated := usher.Identity{Subject: "alice", Expires: time.Now().Add(100 * time.Hour)}
		revoke := func() {
			t.Helper()
			if _, err := s.Revoke(t.Context(), usher.Revocation{Subject: "alice"}); err != nil {
				t.Fatal(err)
			}
		}
		want := func(status int) {
			t.Helper()
			if got := tried(g, undated); got != status {
				t.Errorf("got status %d, want %d", got, status)
			}
		}
		revoke()
		time.Sleep(50 * time.Minute)
		want(401)
		revoke()
		time.Sleep(59 * time.Minute)
		want(401) // The first would have ended 49 minutes ago.
		time.Sleep(time.Minute)
		want(200)
		revoke()
		want(401)
	})
}
