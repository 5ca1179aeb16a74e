package usher_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// textFrame is a whole message of a server's.
func textFrame(text string) []byte {
	return ws.MustCompileFrame(ws.NewTextFrame([]byte(text)))
}

// TestRenewDuringRecheck has a renewal come while the verifier is asked about
// the credential before. Whatever that answers is of no account.
func TestRenewDuringRecheck(t *testing.T) {
	for name, answer := range map[string]func(context.Context) (*usher.Identity, error){
		"yes":          yes("alice", login, 20*time.Minute),
		"no":           no(errors.New("gone")),
		"forbidden":    no(usher.ErrForbidden),
		"unavailable":  no(usher.ErrUnavailable),
		"another":      yes("mallory", login, 20*time.Minute),
		"panic":        func(context.Context) (*usher.Identity, error) { panic("oh") },
		"never at all": func(ctx context.Context) (*usher.Identity, error) { <-ctx.Done(); return nil, ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var s usher.Sessions
				sc := &script{answers: fns(yes("alice", login, 10*time.Minute), func(ctx context.Context) (*usher.Identity, error) {
					time.Sleep(2 * time.Second) // Of the bubble: 8 s before the deadline.
					return answer(ctx)
				})}
				g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(sc)}, Sessions: &s, Log: quiet(), Limits: usher.Limits{Verify: 5 * time.Second}}
				p, done := overPipe(t, g, idle, authorized)
				p.status(http.StatusSwitchingProtocols)
				time.Sleep(10*time.Minute - 9*time.Second) // The verifier is at it.
				begun := time.Now()
				fresh := usher.Identity{Subject: "alice", Issuer: login}
				if n, err := s.Renew(t.Context(), renewedIn(fresh, time.Hour)); n != 1 || err != nil {
					t.Fatalf("got %d, %v, want 1", n, err)
				}
				p.closed(usher.CloseUnauthenticated, "expired")
				if got := time.Since(begun); got != time.Hour {
					t.Errorf("got the end after %v, want the renewal's hour", got)
				}
				if <-done; len(sc.asked) != 2 {
					t.Errorf("got asked %d times, want 2", len(sc.asked))
				}
			})
		})
	}
}

// TestRenewAtExpiry renews connections at the very instant at which they end, or
// at which their verifier is about to say no. One that was told to be renewed
// goes on, and nobody is asked about it again.
func TestRenewAtExpiry(t *testing.T) {
	for range 5 { // Of few each: a bubble with many goroutines is slow.
		t.Run("expiry", func(t *testing.T) { renewAt(t, false, time.Hour) })
		t.Run("recheck", func(t *testing.T) { renewAt(t, true, time.Hour-10*time.Second) })
	}
}

func renewAt(t *testing.T, recheck bool, at time.Duration) {
	synctest.Test(t, func(t *testing.T) {
		const n = 100
		var s usher.Sessions
		var mu sync.Mutex
		renewed := make(map[string]bool)
		v := usher.VerifierFunc(func(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
			id, err := mint.Verify(ctx, c)
			mu.Lock()
			defer mu.Unlock()
			if c.Recheck && time.Until(id.Expires) < 10*time.Second {
				t.Errorf("%s was asked about again later, renewed %v", id.Subject, renewed[id.Subject])
			}
			if c.Recheck {
				return nil, usher.ErrForbidden
			}
			return id, err
		})
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(v)}, Sessions: &s, Log: quiet()}
		g.Observe = func(_ context.Context, e usher.Event) {
			mu.Lock()
			defer mu.Unlock()
			switch {
			case e.Kind == usher.EventRenewed:
				renewed[e.Identity.Subject] = true
			case e.Kind == usher.EventEnded && renewed[e.Identity.Subject] && time.Until(e.Identity.Expires) > 0:
				t.Errorf("%s ended %v before its renewed expiry", e.Identity.Subject, time.Until(e.Identity.Expires))
			}
		}
		ids := make([]usher.Identity, n)
		for i := range ids {
			ids[i] = loggedIn(fmt.Sprint("user ", i), "")
			ids[i].Recheck = recheck
			join(t, g, claimant, ids[i])
		}
		counts := make([]int, n)
		var all sync.WaitGroup
		for i, id := range ids {
			all.Go(func() {
				time.Sleep(at)
				id.Recheck = false
				counts[i], _ = s.Renew(t.Context(), renewedIn(id, time.Hour))
			})
		}
		all.Wait()
		time.Sleep(time.Minute)
		alive, told := 0, 0
		for range s.All() {
			alive++
		}
		for _, c := range counts {
			told += c
		}
		if alive != told {
			t.Errorf("got %d alive, and %d that were told to be renewed", alive, told)
		}
		time.Sleep(time.Hour)
	})
}

// TestRenewRaces runs renewals against everything else that can happen to a
// connection. None of it hangs or leaves one behind, and the revoked stay out.
func TestRenewRaces(t *testing.T) {
	for name, end := range map[string]struct {
		do   func(t *testing.T, s *usher.Sessions, p *peer)
		code uint16
	}{
		"revocation": {func(t *testing.T, s *usher.Sessions, _ *peer) {
			if _, err := s.Revoke(t.Context(), usher.Revocation{Issuer: login, IssuedBefore: time.Now().Add(time.Minute)}); err != nil {
				t.Error(err)
			}
		}, 4401},
		"drain": {func(t *testing.T, s *usher.Sessions, _ *peer) {
			if err := s.Drain(t.Context(), 0); err != nil {
				t.Error(err)
			}
		}, 1001},
		"close": {func(_ *testing.T, _ *usher.Sessions, p *peer) { _ = p.Close() }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				synctest.Test(t, func(t *testing.T) {
					var s usher.Sessions
					g := byMint(&s, "/chat")
					id := loggedIn("alice", "s1")
					p, done := overPipe(t, g, claimant, bearing(id))
					p.status(http.StatusSwitchingProtocols)
					var over atomic.Bool
					var all sync.WaitGroup
					for range 4 {
						all.Go(func() {
							for !over.Load() {
								_, err := s.Renew(t.Context(), renewedIn(id, time.Hour))
								if err != nil && !errors.Is(err, usher.ErrRevoked) {
									t.Errorf("renew: %v", err)
								}
							}
						})
					}
					all.Go(func() {
						defer over.Store(true)
						end.do(t, &s, p)
						if n := len(live(t, &s)); n != 0 && name != "close" {
							t.Errorf("got %d listed afterwards", n)
						}
					})
					if end.code != 0 {
						f := p.receive()
						if got := binary.BigEndian.Uint16(f.Payload); f.Header.OpCode != ws.OpClose || got != end.code {
							t.Errorf("got frame %v with code %d, want Close %d", f.Header.OpCode, got, end.code)
						}
						p.sendFrame(ws.OpClose, f.Payload[:2])
					}
					<-done
					all.Wait()
					synctest.Wait() // The handler may be done before the connection is closed.
					if n := s.Len(); n != 0 {
						t.Errorf("got %d live, want none", n)
					}
					if name == "revocation" {
						turnedAway(t, g, id, usher.CloseUnauthenticated, "revoked")
					}
				})
			}
		})
	}
}

// TestRenewedCallbacks: whoever observes may ask the Sessions, and revoke, also
// at a renewal: no lock is held.
func TestRenewedCallbacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		g.Observe = func(ctx context.Context, e usher.Event) {
			if e.Kind != usher.EventRenewed {
				return
			}
			if n := len(live(t, &s)); n != 1 {
				t.Errorf("got %d live at the renewal, want 1", n)
			}
			if !usher.End(ctx, usher.ErrForbidden) {
				t.Error("could not be ended at its renewal")
			}
		}
		id := loggedIn("alice", "s1")
		p := join(t, g, claimant, id)
		if n, err := s.Renew(t.Context(), renewedIn(id, 2*time.Hour)); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		p.closed(usher.CloseForbidden, "forbidden")
	})
}

// TestRenewRevokedMeanwhile: a credential that is revoked while its renewal goes
// from one connection to the next renews no more of them.
func TestRenewRevokedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		g := byMint(&s, "/chat")
		id := loggedIn("alice", "s1")
		g.Observe = func(_ context.Context, e usher.Event) {
			if e.Kind != usher.EventRenewed {
				return
			}
			r := usher.Revocation{Token: "stolen", IssuedBefore: time.Now().Add(time.Second)}
			if n, err := s.Revoke(t.Context(), r); n != 1 || err != nil {
				t.Errorf("got %d, %v, want the one that was renewed ended", n, err)
			}
		}
		p1, p2 := join(t, g, &witness{}, id), join(t, g, &witness{}, id)
		stolen := renewedIn(id, 10*time.Hour)
		stolen.Token = "stolen"
		if n, err := s.Renew(t.Context(), stolen); n != 1 || err != nil {
			t.Errorf("got %d, %v, want 1", n, err)
		}
		p1.closed(usher.CloseUnauthenticated, "revoked")
		p2.echo("not renewed")
		begun := time.Now()
		p2.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Hour {
			t.Errorf("got the end after %v, want 1h", got)
		}
	})
}

// TestRenewBeforeHijack: a connection may be renewed as soon as it is admitted.
func TestRenewBeforeHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s usher.Sessions
		id := loggedIn("alice", "s1")
		begun := time.Now()
		p, done := overPipe(t, byMint(&s, "/chat"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if n, err := s.Renew(r.Context(), renewedIn(id, 2*time.Hour)); n != 1 || err != nil {
				t.Errorf("got %d, %v, want 1", n, err)
			}
			time.Sleep(90 * time.Minute) // Of the bubble.
			takeover(func(_ *http.Request, c net.Conn) {
				defer c.Close()
				_ = untilEnd(c)
			}).ServeHTTP(w, r)
		}), bearing(id))
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 2*time.Hour {
			t.Errorf("got the end after %v, want 2h", got)
		}
		<-done
	})
}
