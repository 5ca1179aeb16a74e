package usher_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// idle is a handler that reads and does nothing.
var idle = takeover(func(_ *http.Request, c net.Conn) {
	defer c.Close()
	_ = untilEnd(c)
})

// TestLeaseEnds has connections of every length end at the very instant.
func TestLeaseEnds(t *testing.T) {
	for _, d := range []time.Duration{
		1, time.Millisecond, time.Second, time.Minute, time.Minute + 1, time.Hour,
		40 * 24 * time.Hour, // Beyond 2^31 ms.
		400 * 24 * time.Hour,
	} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p, done := overPipe(t, byBearer(lasting(d)), idle, authorized)
				begun := time.Now()
				p.status(http.StatusSwitchingProtocols)
				p.closed(usher.CloseUnauthenticated, "expired")
				if got := time.Since(begun); got != d {
					t.Errorf("got the end after %v, want %v", got, d)
				}
				<-done
			})
		})
	}
}

// TestLeaseWithoutExpiry ends after 24 hours.
func TestLeaseWithoutExpiry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{Subject: "alice"}, nil
		})
		p, done := overPipe(t, byBearer(v), idle, authorized)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != 24*time.Hour {
			t.Errorf("got the end after %v, want 24h", got)
		}
		<-done
	})
}

// TestLeaseFarFuture has expiries that no duration can reach: they must not
// overflow into the past.
func TestLeaseFarFuture(t *testing.T) {
	for _, at := range []time.Time{
		time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC),
		time.Unix(1<<53, 0),
		time.Unix(1<<62, 0),
	} {
		for _, recheck := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d %v", at.Unix(), recheck), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
						return &usher.Identity{Subject: "alice", Expires: at, Recheck: recheck}, nil
					})
					p, done := overPipe(t, byBearer(v), &witness{}, authorized)
					p.status(http.StatusSwitchingProtocols)
					for range 3 {
						p.echo("still here")
						time.Sleep(100 * time.Hour) // Of the bubble.
					}
					p.sendFrame(ws.OpClose, []byte{3, 0xe8})
					p.receive()
					<-done
				})
			})
		}
	}
}

// TestLeaseInThePast is no admission.
func TestLeaseInThePast(t *testing.T) {
	for _, d := range []time.Duration{0, -1, -time.Hour, -1 << 63} {
		t.Run(d.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var w witness
				p, done := overPipe(t, byBearer(lasting(d)), &w, authorized, "Origin: http://example.com")
				p.status(http.StatusSwitchingProtocols)
				p.closed(usher.CloseUnauthenticated, "expired")
				<-done
				w.sawNobody(t)
			})
		})
	}
}

// TestLeaseFollowsWallClock: an expiry that a verifier made by adding to now
// has a monotonic reading in it, which stands still while the machine sleeps.
func TestLeaseFollowsWallClock(t *testing.T) {
	rec := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
	r.Header.Set("Authorization", "Bearer word")
	byBearer(lasting(time.Hour)).Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			t.Fatal(err)
		}
		if id.Expires != id.Expires.Round(0) { // Not Equal, which ignores the readings.
			t.Errorf("got an expiry with a monotonic reading: %v", id.Expires)
		}
	})).ServeHTTP(rec, r)
	if rec.Code != http.StatusOK {
		t.Errorf("got status %d, want 200", rec.Code)
	}
}

// A script is a verifier that gives one answer after the other, and notes when
// it was asked.
type script struct {
	answers []func(ctx context.Context) (*usher.Identity, error)
	begun   time.Time
	asked   []time.Duration
}

func (s *script) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	if c.Recheck != (len(s.asked) > 0) {
		return nil, fmt.Errorf("question %d has Recheck %v", len(s.asked)+1, c.Recheck)
	}
	if s.begun.IsZero() {
		s.begun = time.Now()
	}
	s.asked = append(s.asked, time.Since(s.begun))
	return s.answers[min(len(s.asked), len(s.answers))-1](ctx)
}

func yes(subject, issuer string, d time.Duration) func(context.Context) (*usher.Identity, error) {
	return func(context.Context) (*usher.Identity, error) {
		return &usher.Identity{Subject: subject, Issuer: issuer, Expires: time.Now().Add(d), Recheck: true}, nil
	}
}

func no(err error) func(context.Context) (*usher.Identity, error) {
	return func(context.Context) (*usher.Identity, error) { return nil, err }
}

// TestLeaseRecheck asks again ahead of the deadline, and obeys the answer.
func TestLeaseRecheck(t *testing.T) {
	first := yes("alice", "test", 10*time.Second)
	hang := func(ctx context.Context) (*usher.Identity, error) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	tests := []struct {
		name    string
		answers []func(context.Context) (*usher.Identity, error)
		asked   time.Duration // When it was asked the second time.
		end     time.Duration
		code    int
		word    string
	}{
		{"no", fns(first, no(errors.New("gone"))), 8 * time.Second, 8 * time.Second, 4401, "unauthenticated"},
		{"unknown", fns(first, no(usher.ErrUnrecognized)), 8 * time.Second, 8 * time.Second, 4401, "unauthenticated"},
		{"expired", fns(first, no(usher.ErrExpired)), 8 * time.Second, 8 * time.Second, 4401, "expired"},
		{"forbidden", fns(first, no(usher.ErrForbidden)), 8 * time.Second, 8 * time.Second, 4403, "forbidden"},
		{"another subject", fns(first, yes("bob", "test", time.Hour)), 8 * time.Second, 8 * time.Second, 4403, "forbidden"},
		{"another issuer", fns(first, yes("alice", "other", time.Hour)), 8 * time.Second, 8 * time.Second, 4403, "forbidden"},
		{"nobody", fns(first, yes("", "test", time.Hour)), 8 * time.Second, 8 * time.Second, 4401, "unauthenticated"},
		{"of the past", fns(first, yes("alice", "test", -1)), 8 * time.Second, 8 * time.Second, 4401, "expired"},
		{"unavailable", fns(first, no(usher.ErrUnavailable)), 8 * time.Second, 10 * time.Second, 4503, "unavailable"},
		{"too slow", fns(first, hang), 8 * time.Second, 10 * time.Second, 4503, "unavailable"},
		{"extended once", fns(first, yes("alice", "test", 5*time.Second), no(usher.ErrExpired)), 8 * time.Second, 12 * time.Second, 4401, "expired"},
		{"unavailable for a moment", fns(first, no(usher.ErrUnavailable), first, no(usher.ErrExpired)), 8 * time.Second, 17 * time.Second, 4401, "expired"},
		{"hours", fns(yes("alice", "test", 3*time.Hour), no(usher.ErrExpired)), 3*time.Hour - 10*time.Second, 3*time.Hour - 10*time.Second, 4401, "expired"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &script{answers: tt.answers}
				p, done := overPipe(t, byBearer(s), idle, authorized)
				begun := time.Now()
				p.status(http.StatusSwitchingProtocols)
				p.closed(tt.code, tt.word)
				<-done
				synctest.Wait()
				if got := time.Since(begun); got != tt.end {
					t.Errorf("got the end after %v, want %v", got, tt.end)
				}
				if len(s.asked) < 2 || s.asked[1] != tt.asked {
					t.Errorf("got asked after %v, want the second time after %v", s.asked, tt.asked)
				}
				if len(s.asked) > 40 {
					t.Errorf("got asked %d times", len(s.asked))
				}
			})
		})
	}
}

func fns(f ...func(context.Context) (*usher.Identity, error)) []func(context.Context) (*usher.Identity, error) {
	return f
}

// TestLeaseRecheckHangs has a verifier that does not even obey its context: the
// connection ends at the deadline all the same.
func TestLeaseRecheckHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		s := &script{answers: fns(yes("alice", "test", 10*time.Second), func(context.Context) (*usher.Identity, error) {
			<-release
			return &usher.Identity{Subject: "alice", Issuer: "test", Expires: time.Now().Add(time.Hour)}, nil
		})}
		p, done := overPipe(t, byBearer(s), idle, authorized)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		timer := time.AfterFunc(time.Minute, func() { close(release) })
		p.closed(usher.CloseUnavailable, "unavailable")
		if got := time.Since(begun); got != 10*time.Second {
			t.Errorf("got the end after %v, want 10s", got)
		}
		<-done
		if timer.Stop() {
			close(release)
		}
		synctest.Wait()
		if len(s.asked) != 2 {
			t.Errorf("got asked %d times, want 2: one question at a time", len(s.asked))
		}
	})
}

// TestLeaseRecheckSeen gives the handler the newest answer.
func TestLeaseRecheckSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{answers: fns(
			yes("alice", "test", 10*time.Second), yes("alice", "test", time.Hour), no(usher.ErrExpired),
		)}
		p, done := overPipe(t, byBearer(s), takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			before, err := usher.FromContext(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			time.Sleep(time.Minute) // Of the bubble.
			after, err := usher.FromContext(r.Context())
			if err != nil {
				t.Error(err)
				return
			}
			if got := after.Expires.Sub(before.Expires); got != time.Hour-2*time.Second {
				t.Errorf("got an expiry %v later, want 59m58s", got)
			}
			_ = untilEnd(c)
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired")
		<-done
	})
}

// TestLeasePlain ends a plain request with the identity: its context, and
// what is written after.
func TestLeasePlain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(lasting(time.Minute))}, Log: quiet()}
		rec := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "http://example.com/", nil)
		r.Header.Set("Authorization", "Bearer word")
		begun := time.Now()
		g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "before")
			if err := http.NewResponseController(w).Flush(); err != nil {
				t.Errorf("flush before the end: %v", err)
			}
			<-r.Context().Done()
			if got := time.Since(begun); got != time.Minute {
				t.Errorf("got the context's end after %v, want 1m", got)
			}
			if err := context.Cause(r.Context()); !errors.Is(err, usher.ErrExpired) {
				t.Errorf("got cause %v, want ErrExpired", err)
			}
			if _, err := fmt.Fprint(w, "after"); !errors.Is(err, usher.ErrExpired) {
				t.Errorf("got %v for a write after the end, want ErrExpired", err)
			}
			if err := http.NewResponseController(w).Flush(); !errors.Is(err, usher.ErrExpired) {
				t.Errorf("got %v for a flush after the end, want ErrExpired", err)
			}
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Errorf("got %v for Hijack of a plain request, want ErrNotSupported", err)
			}
		})).ServeHTTP(rec, r)
		if got := rec.Body.String(); got != "before" {
			t.Errorf("got body %q, want %q", got, "before")
		}
	})
}

// TestLeaseBeforeHijack: an identity that ends while its handler hesitates
// leaves nothing to hijack, and nobody without an answer.
func TestLeaseBeforeHijack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, usher.ErrExpired) {
				t.Errorf("got %v for Hijack, want ErrExpired", err)
			}
		}), authorized)
		if b, err := p.rd.ReadByte(); err == nil {
			t.Errorf("got byte %q, want the end of the connection", b)
		}
		<-done
	})
}
