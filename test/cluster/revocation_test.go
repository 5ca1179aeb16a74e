package cluster_test

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// users have so many connections each, spread over the gateways: 10,000 in all.
	users, connectionsEach = 100, 100
	// atOnce bounds the handshakes that are under way.
	atOnce = 32
)

// TestRevocationReachesAllNodes has 10,000 live connections on three nodes, and
// revokes one user after the other, each at another node. All of that user's
// sockets must end within a second, and nobody else's.
func TestRevocationReachesAllNodes(t *testing.T) {
	s := newSite(t)
	all := s.connect(t)
	// The backend counts one once it has answered it, of which the client may hear first.
	eventually(t, 30*time.Second, "all connections at the backend", func() bool { return s.backend.live(t) == users*connectionsEach })
	var took []time.Duration
	for u := range users {
		took = append(took, s.revokeUser(t, u, all)...)
	}
	slices.Sort(took)
	p99, last := took[len(took)*99/100], took[len(took)-1]
	t.Logf("%d connections of %d users on three nodes ended: p50 %v, p99 %v, last %v", len(took), users, took[len(took)/2], p99, last)
	if len(took) != users*connectionsEach {
		t.Errorf("got %d connections that ended, want %d", len(took), users*connectionsEach)
	}
	if p99 >= time.Second {
		t.Errorf("got a p99 of %v from the revocation to the Close frame, want under 1s", p99)
	}
	eventually(t, 30*time.Second, "no connection at the backend", func() bool { return s.backend.live(t) == 0 })
}

// An ending is the end of one user's connection.
type ending struct {
	end
	user int
	err  error
}

func userName(u int) string { return fmt.Sprintf("user-%d", u) }

// connect opens all connections, and returns where their ends are told, by user.
func (s *site) connect(t *testing.T) []chan ending {
	t.Helper()
	ends := make([]chan ending, users)
	turns := make(chan struct{}, atOnce)
	var opening, reading sync.WaitGroup
	t.Cleanup(reading.Wait)
	for u := range users {
		ends[u] = make(chan ending, connectionsEach)
		token := s.login.Token(userName(u))
		for i := range connectionsEach {
			turns <- struct{}{}
			opening.Go(func() {
				defer func() { <-turns }()
				c, err := dial(t.Context(), s.gateways[i%len(s.gateways)].public, "", token)
				if err != nil {
					t.Errorf("connect %s: %v", userName(u), err)
					return
				}
				t.Cleanup(func() { _ = c.conn.Close() }) // Before the wait above.
				reading.Go(func() {
					e, err := c.ended()
					ends[u] <- ending{e, u, err}
				})
			})
		}
	}
	opening.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return ends
}

// revokeUser revokes a user and returns how long each of the sockets lived on.
func (s *site) revokeUser(t *testing.T, u int, ends []chan ending) []time.Duration {
	t.Helper()
	for other := u; other < users; other++ {
		if n := len(ends[other]); n > 0 {
			t.Fatalf("%d connections of %s ended without being revoked: %+v", n, userName(other), <-ends[other])
		}
	}
	begun := time.Now()
	here := s.gateways[u%len(s.gateways)].revoke(map[string]any{"subject": userName(u), "reason": "a test"})
	if most := connectionsEach/len(s.gateways) + 1; here < most-1 || here > most {
		t.Errorf("revocation of %s: got %d connections closed on that node, want a third of %d", userName(u), here, connectionsEach)
	}
	var took []time.Duration
	late := time.After(10 * time.Second)
	for range connectionsEach {
		select {
		case e := <-ends[u]:
			if e.err != nil || e.code != usher.CloseUnauthenticated || e.word != "revoked" {
				t.Errorf("%s: got the end %+v, want 4401 revoked", userName(u), e)
				continue
			}
			took = append(took, e.at.Sub(begun))
		case <-late:
			t.Fatalf("%s: only %d of %d connections ended within 10s", userName(u), len(took), connectionsEach)
		}
	}
	return took
}

// TestLoginAfterRevocation revokes a user on one node: the credential from before
// opens nothing on any of them, one from after opens all.
func TestLoginAfterRevocation(t *testing.T) {
	s := newSite(t)
	token := s.login.Token("alice")
	before, status := s.gateways[1].ticket(token)
	if status != http.StatusOK {
		t.Fatalf("ticket: got status %d, want 200", status)
	}
	s.gateways[0].revoke(map[string]any{"subject": "alice"})
	for _, g := range s.gateways {
		eventually(t, 10*time.Second, "the old token is refused at "+g.process.name, func() bool {
			c, err := dial(t.Context(), g.public, "", token)
			if err == nil {
				_ = c.conn.Close()
			}
			return statusOf(err) == http.StatusUnauthorized
		})
	}
	if _, err := dial(t.Context(), s.gateways[2].public, "?ticket="+before, ""); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("ticket from before the revocation: got %v, want status 401", err)
	}
	time.Sleep(time.Until(time.Now().Truncate(time.Second).Add(time.Second))) // Tokens say the second.
	again := s.login.Token("alice")
	for _, g := range s.gateways {
		c, err := dial(t.Context(), g.public, "", again)
		if err != nil {
			t.Errorf("%s: login after the revocation: %v", g.process.name, err)
			continue
		}
		_ = c.conn.Close()
	}
}

// TestRenewalReachesAllNodes renews a session at a node where it has no
// connection.
func TestRenewalReachesAllNodes(t *testing.T) {
	s := newSite(t)
	expires := time.Now().Add(6 * time.Second)
	token := s.login.Token("alice", usher.Claims{"sid": "login-1", "exp": expires.Unix()})
	var clients []*client
	for _, g := range s.gateways[:2] {
		c, err := dial(t.Context(), g.public, "", token)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.conn.Close() })
		clients = append(clients, c)
	}
	fresh := s.login.Token("alice", usher.Claims{"sid": "login-1", "exp": expires.Add(4 * time.Second).Unix()})
	var answer struct {
		Session     string
		Connections int
		ExpiresIn   int `json:"expires_in"`
	}
	status := s.gateways[2].post(s.gateways[2].public, "/usher/v1/sessions/renew", fresh, map[string]any{}, &answer)
	if status != http.StatusOK || answer.Session != "login-1" || answer.Connections != 2 || answer.ExpiresIn < 5 {
		t.Errorf("renew: got status %d and %+v, want 200, login-1 and 2 connections for 10s", status, answer)
	}
	other := s.login.Token("mallory", usher.Claims{"sid": "login-1"})
	if status := s.gateways[0].post(s.gateways[0].public, "/usher/v1/sessions/renew", other, map[string]any{}, nil); status != http.StatusForbidden {
		t.Errorf("renew as another subject: got status %d, want 403", status)
	}
	for _, c := range clients {
		e, err := c.ended()
		if err != nil || e.word != "expired" || e.at.Before(expires.Add(2*time.Second)) {
			t.Errorf("got the end %+v %v, want expired at the renewed time", e, err)
		}
	}
}
