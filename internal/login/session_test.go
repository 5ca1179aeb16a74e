package login_test

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

// A session ends when it is not used, and in any case after its lifetime.
func TestSessionEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, nil)
		idle := newBrowser(t).login(n)
		time.Sleep(12*time.Hour - time.Second)
		n.mustVerify(t, idle) // Which is use.
		time.Sleep(12*time.Hour - time.Second)
		n.mustVerify(t, idle)
		time.Sleep(12 * time.Hour)
		if _, err := n.verify(t, idle); err == nil {
			t.Error("a session that was not used for 12 hours is good still")
		}
		if n.store.sessions() != 0 {
			t.Error("it is in the store still")
		}
		used, begun := newBrowser(t).login(n), time.Now()
		for time.Since(begun) < 7*24*time.Hour-time.Hour {
			id := n.mustVerify(t, used)
			if got := time.Until(id.Expires); !id.Recheck || got != 5*time.Minute {
				t.Fatalf("after %v: got %v, recheck %t, want to be asked again in 5 minutes", time.Since(begun), got, id.Recheck)
			}
			time.Sleep(time.Hour)
		}
		time.Sleep(time.Until(begun.Add(7*24*time.Hour - time.Minute)))
		if id := n.mustVerify(t, used); id.Recheck || !id.Expires.Equal(begun.Add(7*24*time.Hour).Round(0)) {
			t.Errorf("got %v, recheck %t, want the end of the session", id.Expires, id.Recheck)
		}
		time.Sleep(time.Minute)
		if _, err := n.verify(t, used); err == nil {
			t.Error("a session of 7 days is good still")
		}
	})
}

// To use a session costs a write now and then.
func TestSessionWrites(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, nil)
		cookie := newBrowser(t).login(n)
		before := n.store.writes
		for range 600 {
			n.mustVerify(t, cookie)
			time.Sleep(time.Second)
		}
		if got := n.store.writes - before; got > 10 {
			t.Errorf("got %d writes in 10 minutes, want at most 10", got)
		}
	})
}

// A session that was revoked is over, also if it is used between the revocation
// and its arrival at the node, and also after revocations are forgotten. Who logs
// in again gets in.
func TestSessionRevoked(t *testing.T) {
	for name, r := range map[string]usher.Revocation{
		"subject": {Subject: "alice"}, "session": {Session: "s1"}, "issuer": {Issuer: issuer},
		"of one issuer": {Issuer: issuer, Subject: "alice"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n, b := newNode(t, nil), newBrowser(t)
				// Another node, which hears of a revocation late.
				late := joined(t, n.fake, n.store, &usher.Sessions{}, nil)
				cookie := b.login(n)
				for range 20 {
					time.Sleep(5 * time.Minute)
					n.mustVerify(t, cookie)
				}
				r.IssuedBefore = time.Now()
				time.Sleep(30 * time.Second)
				late.mustVerify(t, cookie)
				time.Sleep(20 * time.Second)
				if _, err := n.live.Revoke(t.Context(), r); err != nil {
					t.Fatal(err)
				}
				if _, err := n.verify(t, cookie); !errors.Is(err, usher.ErrRevoked) {
					t.Errorf("got %v, want ErrRevoked", err)
				}
				if _, err := late.verify(t, cookie); err == nil {
					t.Error("the session is good on the other node")
				}
				again := b.login(n)
				n.mustVerify(t, again)
				time.Sleep(5 * time.Minute)
				n.mustVerify(t, again)
				time.Sleep(11 * time.Hour)
				n.mustVerify(t, again)
			})
		})
	}
}

// offline is a node whose provider gives refresh tokens, and access tokens for
// ten minutes.
func offline(t *testing.T) *node {
	n := newNode(t, func(o *login.Options) { o.Scopes = []string{"offline_access"} })
	n.fake.set(func(f *fake) { f.offline = true })
	return n
}

// The provider is asked when its access token ends, by one of all nodes, with the
// newest refresh token; what it says of somebody is taken over.
func TestRefresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := offline(t)
		other := joined(t, n.fake, n.store, n.live, nil)
		newBrowser(t).login(other) // So that it has keys and configuration.
		cookie := newBrowser(t).login(n)
		if got := time.Until(n.mustVerify(t, cookie).Expires); got != 5*time.Minute {
			t.Errorf("got until in %v, want 5m", got)
		}
		asked := n.fake.questions()
		for i := range 10 {
			time.Sleep(9*time.Minute - time.Second)
			n.mustVerify(t, cookie)
			if got := n.fake.questions(); got != asked {
				t.Fatalf("got %d questions, want %d: it is not due", got, asked)
			}
			time.Sleep(time.Second)
			n.fake.set(func(f *fake) { f.slow, f.claims = time.Second, map[string]any{"name": fmt.Sprint("Alice ", i)} })
			var all sync.WaitGroup
			for range 10 {
				for _, node := range []*node{n, other} {
					all.Go(func() { node.mustVerify(t, cookie) })
				}
			}
			all.Wait()
			n.fake.set(func(f *fake) { f.slow = 0 })
			if asked++; n.fake.questions() != asked {
				t.Fatalf("got %d questions, want %d", n.fake.questions(), asked)
			}
			if got := other.mustVerify(t, cookie).Claims.String("name"); got != fmt.Sprint("Alice ", i) {
				t.Errorf("got name %q, want %d", got, i)
			}
		}
	})
}

// Who may not stay is out, with all connections of the session.
func TestRefreshRefused(t *testing.T) {
	for name, change := range map[string]func(*fake){
		"refused":         func(f *fake) { f.offline = false },
		"another subject": func(f *fake) { f.claims = map[string]any{"sub": "eve"} },
		"another issuer":  func(f *fake) { f.claims = map[string]any{"iss": "https://evil.example"} },
		"expired":         func(f *fake) { f.claims = map[string]any{"exp": 1} },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := offline(t)
				cookie := newBrowser(t).login(n)
				before := n.mustVerify(t, cookie)
				n.fake.set(change)
				time.Sleep(10 * time.Minute)
				if _, err := n.verify(t, cookie); !errors.Is(err, usher.ErrExpired) {
					t.Errorf("got %v, want ErrExpired", err)
				}
				if err := n.live.Admits(before); !errors.Is(err, usher.ErrRevoked) {
					t.Errorf("its connections: got %v, want ErrRevoked", err)
				}
				if n.store.sessions() != 0 {
					t.Error("the session is in the store still")
				}
			})
		})
	}
}

// While the provider is away one may stay until the access token ends, and may
// not after that; nothing is lost when it is back.
func TestRefreshUnavailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := offline(t)
		cookie := newBrowser(t).login(n)
		begun := time.Now()
		n.fake.set(func(f *fake) { f.status, f.failure = 503, "temporarily_unavailable" })
		time.Sleep(9*time.Minute + time.Second)
		if id := n.mustVerify(t, cookie); !id.Expires.Equal(begun.Add(10 * time.Minute).Round(0)) {
			t.Errorf("got until %v, want the end of the access token", id.Expires.Sub(begun))
		}
		time.Sleep(time.Minute)
		if _, err := n.verify(t, cookie); !errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		n.fake.set(func(f *fake) { f.status = 0 })
		n.mustVerify(t, cookie)
		if got := n.fake.questions(); got != 4 {
			t.Errorf("got %d questions, want 4", got)
		}
	})
}

// A node that dies while it asks does not lock anybody in or out.
func TestRefreshAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := offline(t)
		other := joined(t, n.fake, n.store, n.live, nil)
		cookie := newBrowser(t).login(n)
		time.Sleep(11 * time.Minute)
		n.fake.set(func(f *fake) { f.slow = 4 * time.Second })
		asking := make(chan error, 1)
		go func() {
			_, err := n.verify(t, cookie)
			asking <- err
		}()
		time.Sleep(time.Second)
		n.store.setDown(true) // Which is as if the node had died: it cannot say what came of it.
		if err := <-asking; !errors.Is(err, usher.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		n.store.setDown(false)
		n.fake.set(func(f *fake) { f.slow = 0 })
		if id := other.mustVerify(t, cookie); time.Until(id.Expires) > 10*time.Second {
			t.Errorf("got until in %v, want 10s at most", time.Until(id.Expires))
		}
		time.Sleep(10 * time.Second)
		// The refresh token was replaced, and nobody has the new one: out.
		if _, err := other.verify(t, cookie); !errors.Is(err, usher.ErrExpired) {
			t.Errorf("got %v, want ErrExpired", err)
		}
	})
}
