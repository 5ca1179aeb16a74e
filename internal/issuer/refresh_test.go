package issuer_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// letters are those of base64url, by their values.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// dead is what becomes of a refresh token that is not good.
func dead(t testing.TB, what string, a *answer) {
	t.Helper()
	a.wants(t, what, http.StatusBadRequest, "invalid_grant")
}

// good returns the refresh token that a use of one gives.
func good(t testing.TB, what string, a *answer) string {
	t.Helper()
	if a.status != http.StatusOK || a.get("access_token") == "" || a.get("refresh_token") == "" {
		t.Fatalf("%s: got %d %s, want tokens", what, a.status, a.text)
	}
	a.inShape(t, what)
	return a.get("refresh_token")
}

// What RFC 9700 §4.14.2 says of the rotation of refresh tokens.
func TestRFC9700Rotation(t *testing.T) {
	play(t,
		scenario{"4.14.2 each use gives another, and the last is invalid", func(t *testing.T, s *site) {
			first := s.user("alice").get("refresh_token")
			second := good(t, "first use", s.refresh(first))
			third := good(t, "second use", s.refresh(second))
			if first == second || second == third || first == third {
				t.Error("a token was not replaced")
			}
			time.Sleep(6 * time.Second)
			dead(t, "first token", s.refresh(first))
		}},
		scenario{"4.14.2 reuse revokes the active token as well", func(t *testing.T, s *site) {
			stolen := s.user("alice", "session", "s1").get("refresh_token")
			owner := good(t, "the owner's use", s.refresh(stolen))
			time.Sleep(6 * time.Second)
			dead(t, "the thief's use", s.refresh(stolen))
			dead(t, "the owner's next use", s.refresh(owner))
			dead(t, "and again", s.refresh(owner))
			if got := s.live.revoked; len(got) != 1 || got[0].Session != "app.s1" || got[0].Issuer != name {
				t.Errorf("got revocations %+v, want one of the session", got)
			}
			if !strings.Contains(s.log.String(), "level=WARN") {
				t.Error("nobody is warned")
			}
		}},
		scenario{"4.14.2 a thief who comes first is found out", func(t *testing.T, s *site) {
			stolen := s.user("alice").get("refresh_token")
			thief := good(t, "the thief's use", s.refresh(stolen))
			time.Sleep(6 * time.Second)
			dead(t, "the owner's use", s.refresh(stolen))
			dead(t, "the thief's next use", s.refresh(thief))
		}},
		scenario{"4.14.2 a token of long ago revokes too", func(t *testing.T, s *site) {
			first := s.user("alice").get("refresh_token")
			last := first
			for range 5 {
				last = good(t, "use", s.refresh(last))
			}
			dead(t, "the first, within seconds", s.refresh(first))
			dead(t, "the last", s.refresh(last))
		}},
		scenario{"grace: twice within seconds is the same successor", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			first := s.refresh(token)
			time.Sleep(5 * time.Second)
			second := s.refresh(token)
			if good(t, "first", first) != good(t, "second", second) {
				t.Error("got two successors")
			}
			if first.get("access_token") == second.get("access_token") {
				t.Error("got the same access token: one of two could be revoked with the other")
			}
			good(t, "the successor", s.refresh(first.get("refresh_token")))
			dead(t, "the first, two generations ago", s.refresh(token))
		}},
	)
}

// What it says of their life.
func TestRFC9700Lifetime(t *testing.T) {
	play(t,
		scenario{"4.14.2 a token that expires with inactivity", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			for range 4 {
				time.Sleep(13 * 24 * time.Hour)
				token = good(t, "within two weeks", s.refresh(token))
			}
			time.Sleep(14 * 24 * time.Hour)
			dead(t, "after two weeks", s.refresh(token))
		}},
		scenario{"4.14.2 a family does not live for ever", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			for range 8 {
				time.Sleep(11 * 24 * time.Hour)
				token = good(t, "within 90 days", s.refresh(token))
			}
			time.Sleep(2*24*time.Hour - 5*time.Minute)
			a := s.refresh(token)
			token = good(t, "five minutes before the end", a)
			if got := a.body["expires_in"]; got != 300.0 {
				t.Errorf("got an access token for %v s, want none that outlives the family", got)
			}
			time.Sleep(5*time.Minute - time.Second/2)
			dead(t, "in the last second", s.refresh(token))
			time.Sleep(time.Second)
			dead(t, "after 90 days", s.refresh(token))
		}},
		scenario{"4.14.2 a store that forgets too late", func(t *testing.T, s *site) {
			s.store.forgets = 365 * 24 * time.Hour
			idle, busy := s.user("alice").get("refresh_token"), s.user("alice").get("refresh_token")
			for range 8 {
				time.Sleep(11 * 24 * time.Hour)
				busy = good(t, "use", s.refresh(busy))
			}
			dead(t, "after two weeks without use", s.refresh(idle))
			time.Sleep(2 * 24 * time.Hour)
			dead(t, "after 90 days", s.refresh(busy))
		}},
	)
}

// What it says of what they are bound to, and RFC 6749 §6.
func TestRFC9700Binding(t *testing.T) {
	play(t,
		scenario{"4.14.2 bound to scope: no more than there was", func(t *testing.T, s *site) {
			token := s.user("alice", "scope", "read", "capability", `{"chat:*":["subscribe"]}`).get("refresh_token")
			s.refresh(token, "scope", "read write").wants(t, "more scope", http.StatusBadRequest, "invalid_scope")
			s.refresh(token, "capability", `{"news":["subscribe"]}`).wants(t, "another resource", http.StatusBadRequest, "invalid_scope")
			less := s.refresh(token, "capability", `{"*":["*"]}`)
			token = good(t, "all, of which little is there", less)
			if got := fmt.Sprint(less.body["capability"]); got != "map[chat:*:[subscribe]]" || less.get("scope") != "" {
				t.Errorf("got %s and %q, want what the family has, and no scope, which was not asked for", got, less.get("scope"))
			}
			whole := s.refresh(token) // RFC 6749 §6: the token keeps what it had.
			good(t, "without a scope", whole)
			if whole.get("scope") != "read" || fmt.Sprint(whole.body["capability"]) != "map[chat:*:[subscribe]]" {
				t.Errorf("got %s, want the permissions that there were", whole.text)
			}
		}},
		scenario{"4.14.2 bound to resource servers", func(t *testing.T, s *site) {
			s.clients.set("app", func(c *issuer.Client) { c.Audiences = []string{audience, "https://api.example.com"} })
			token := s.user("alice", "audience", audience, "resource", "https://api.example.com").get("refresh_token")
			s.refresh(token, "resource", "https://else.example.com").wants(t, "another", http.StatusBadRequest, "invalid_target")
			one := s.refresh(token, "audience", "https://api.example.com")
			good(t, "one of two", one)
			if _, err := s.subjectOf(one.get("access_token")); err == nil {
				t.Error("a token for one audience is good for the other")
			}
			if n, _ := s.live.counts(); n != 0 {
				t.Error("a token for one of two audiences has changed the live connections")
			}
		}},
		scenario{"6749 6 bound to the client", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			dead(t, "another client", s.post(issuer.TokenPath, "other", "grant_type", "refresh_token", "refresh_token", token))
			dead(t, "another client_id", s.refresh(token, "client_id", "other"))
			s.refresh(token, "client_id", "app", "client_secret", "wrong").wants(t, "a wrong secret", http.StatusUnauthorized, "invalid_client")
			token = good(t, "its client", s.post(issuer.TokenPath, "app", "grant_type", "refresh_token", "refresh_token", token))
			good(t, "its client_id", s.refresh(token, "client_id", "app"))
		}},
		scenario{"4.14.2 the client is gone, or may less", func(t *testing.T, s *site) {
			token := s.user("alice", "scope", "read write").get("refresh_token")
			s.clients.set("app", func(c *issuer.Client) { c.Permissions = permissions(t, "read", "") })
			a := s.refresh(token)
			token = good(t, "may less", a)
			if a.get("scope") != "read" {
				t.Errorf("got scope %q, want what the client may still give", a.get("scope"))
			}
			s.clients.set("app", func(c *issuer.Client) { c.Exchange = false })
			dead(t, "may not exchange", s.refresh(token))
			s.clients.set("app", func(c *issuer.Client) { c.Exchange = true })
			token = good(t, "may again", s.refresh(token))
			delete(s.clients.list, "app")
			dead(t, "is gone", s.refresh(token))
		}},
		scenario{"4.14.2 revocation", func(t *testing.T, s *site) {
			first := s.user("alice", "session", "s1").get("refresh_token")
			token := good(t, "use", s.refresh(first))
			if a := s.post(issuer.RevokePath, "", "token", token); a.status != http.StatusOK {
				t.Fatalf("got %d %s, want 200", a.status, a.text)
			}
			dead(t, "revoked", s.refresh(token))
			dead(t, "the one before", s.refresh(first))
			if n := len(s.live.revoked); n != 1 {
				t.Errorf("got %d revocations of the session, want one", n)
			}
		}},
	)
}

// What their text is worth, beside what is kept of them.
func TestRefreshTokenText(t *testing.T) {
	play(t,
		scenario{"an unknown token ends nothing", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			for what, forged := range map[string]string{
				"a wrong code":     token[:len(token)-10] + strings.Repeat("A", 10),
				"a generation":     token[:38] + "AAAB" + token[42:],
				"too short":        token[:len(token)-1],
				"too long":         token + "A",
				"another prefix":   "usher_refrash_" + token[14:],
				"loose bits":       token[:len(token)-1] + string(letters[strings.IndexByte(letters, token[len(token)-1])^1]),
				"a slash":          token[:len(token)-1] + "/",
				"something else":   "x",
				"an unknown id":    token[:14] + strings.Repeat("A", 21) + token[35:],
				"a NUL in percent": "%00",
			} {
				if forged != token {
					dead(t, what, s.refresh(forged))
				}
			}
			if n := len(s.live.revoked); n != 0 {
				t.Errorf("got %d revocations, want none", n)
			}
			good(t, "the real one", s.refresh(token))
		}},
		scenario{"a store from before ends the family", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			backup := s.store.copied()
			token = good(t, "use", s.refresh(token))
			s.store.restore(backup)
			dead(t, "a token of later", s.refresh(token))
			if n := len(s.live.revoked); n != 1 {
				t.Errorf("got %d revocations, want one", n)
			}
		}},
		scenario{"another secret", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			other := newSite(t)
			other.store.restore(s.store.copied())
			dead(t, "another secret", other.refresh(token))
			none := newSite(t, func(o *issuer.Options) { o.Secret = func() usher.Secret { return usher.Secret{} } })
			none.store.restore(s.store.copied())
			none.refresh(token).wants(t, "no secret", http.StatusServiceUnavailable, "temporarily_unavailable")
		}},
		scenario{"the digest that is kept is another's", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			s.tamper("digest", make([]byte, 32))
			dead(t, "of the current generation, and not the current token", s.refresh(token))
			if n := len(s.live.revoked); n != 1 {
				t.Errorf("got %d revocations, want one", n)
			}
		}},
		scenario{"the nonce that is kept is another's", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			s.tamper("nonce", make([]byte, 16))
			dead(t, "of no family", s.refresh(token))
			if n := len(s.live.revoked); n != 0 {
				t.Errorf("got %d revocations, want none", n)
			}
		}},
		scenario{"nothing of a token is kept", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			token = good(t, "use", s.refresh(token))
			for key, r := range s.store.copied() {
				if strings.Contains(string(r.value)+key, token[len(token)-43:]) {
					t.Errorf("%s has the token's code in it", key)
				}
			}
		}},
	)
}

// However many use a token at the same moment, on however many nodes: there is
// one successor, and nobody is taken for a thief.
func TestRefreshRace(t *testing.T) {
	s := newSite(t)
	nodes := []*issuer.Issuer{s.issuer, s.node(), s.node()}
	token := s.user("alice").get("refresh_token")
	for round := range 5 {
		const users = 32
		got := make([]*answer, users)
		var all sync.WaitGroup
		for n := range users {
			all.Go(func() {
				got[n] = s.postAt(nodes[n%len(nodes)], issuer.TokenPath, "", "grant_type", "refresh_token", "refresh_token", token)
			})
		}
		all.Wait()
		jtis := make(map[string]bool)
		next := got[0].get("refresh_token")
		for n, a := range got {
			if good(t, fmt.Sprintf("round %d, user %d", round, n), a) != next {
				t.Fatalf("round %d: got two successors", round)
			}
			jtis[s.must(a.get("access_token")).Token] = true
		}
		if len(jtis) != users {
			t.Errorf("got %d names of tokens for %d tokens", len(jtis), users)
		}
		token = next
	}
	if _, n := s.live.counts(); n != 0 {
		t.Errorf("got %d revocations, want none", n)
	}
}

// Of a thief and an owner who race, long after the token was replaced, neither
// goes on.
func TestRefreshReuseRace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		old := s.user("alice").get("refresh_token")
		now := good(t, "use", s.refresh(old))
		time.Sleep(time.Minute)
		var all sync.WaitGroup
		for n := range 40 {
			all.Go(func() {
				if n%2 == 0 {
					dead(t, "the old one", s.refresh(old))
				} else {
					s.refresh(now)
				}
			})
		}
		all.Wait()
		dead(t, "what was current", s.refresh(now))
		for _, r := range s.live.revoked {
			if r.Session == "" {
				t.Errorf("got a revocation of %+v", r)
			}
		}
	})
}

// A refresh renews the live connections of its session with who a verifier says
// that the new token is of.
func TestRefreshRenews(t *testing.T) {
	s := newSite(t)
	first := s.user("alice", "session", "s1", "scope", "read", "capability", `{"chat:*":["*"]}`)
	a := s.refresh(first.get("refresh_token"))
	token := good(t, "refresh", a)
	if len(s.live.renewed) != 1 {
		t.Fatalf("got %d renewals, want one", len(s.live.renewed))
	}
	if diff := cmp.Diff(s.must(a.get("access_token")), s.live.renewed[0], cmp.Comparer(time.Time.Equal)); diff != "" {
		t.Errorf("what was renewed is not what a verifier says (-verifier +renewed):\n%s", diff)
	}
	token = good(t, "less", s.refresh(token, "scope", "read"))
	if len(s.live.renewed) != 1 {
		t.Error("a token for less has changed the live connections")
	}
	s.live.breaks(errDown)
	good(t, "other nodes out of reach", s.refresh(token))
}
