package issuer_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// down has one kind of call fail, before it has an effect.
func down(op string) func(string, string) (before, after error) {
	return func(o, _ string) (error, error) {
		if o == op {
			return errDown, nil
		}
		return nil, nil
	}
}

// lost has the answer of one kind of call be lost, after it had its effect.
func lost(op string) func(string, string) (before, after error) {
	return func(o, _ string) (error, error) {
		if o == op {
			return nil, errDown
		}
		return nil, nil
	}
}

// Nothing is issued that could not be recorded, and nothing is lost by it: the
// old token is good once the store is back.
func TestStoreDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		token := s.user("alice").get("refresh_token")
		for _, op := range []string{"get", "update"} {
			s.store.breaks(down(op))
			s.refresh(token).wants(t, op, http.StatusServiceUnavailable, "temporarily_unavailable")
		}
		s.store.breaks(down("create"))
		s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "alice", "subject_token_type", issuer.TypeSubject,
			"requested_token_type", issuer.TypeRefreshToken).wants(t, "create", http.StatusServiceUnavailable, "temporarily_unavailable")
		s.store.breaks(lost("create"))
		s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "alice", "subject_token_type", issuer.TypeSubject,
			"requested_token_type", issuer.TypeRefreshToken).wants(t, "lost create", http.StatusServiceUnavailable, "temporarily_unavailable")
		s.store.breaks(func(string, string) (error, error) { return errDown, nil })
		if a := s.post(issuer.TokenPath, "app", "grant_type", forClient); a.status != http.StatusOK {
			t.Errorf("got %d %s: what needs no record needs no store", a.status, a.text)
		}
		s.store.breaks(nil)
		if n, _ := s.live.counts(); n != 0 {
			t.Errorf("got %d renewals without a token", n)
		}
		good(t, "the store is back", s.refresh(token))
	})
}

// Where the answer to a write is lost, what is there is asked for.
func TestStoreAnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		first := s.user("alice").get("refresh_token")
		s.store.breaks(lost("update"))
		second := good(t, "the write was made", s.refresh(first))
		s.store.breaks(func(op, _ string) (error, error) { // And then the leader is gone too.
			if op == "update" {
				s.store.broken = down("get")
				return nil, errDown
			}
			return nil, nil
		})
		s.refresh(second).wants(t, "nobody knows", http.StatusServiceUnavailable, "temporarily_unavailable")
		s.store.breaks(nil)
		third := good(t, "tried again", s.refresh(second))
		if other := good(t, "and again", s.refresh(second)); other != third {
			t.Error("got two successors")
		}
		time.Sleep(time.Minute)
		good(t, "the successor", s.refresh(third))
		if _, n := s.live.counts(); n != 0 {
			t.Errorf("got %d revocations: an outage was taken for theft", n)
		}
	})
}

// A theft that is found while the store or other nodes are out of reach is dealt
// with when they are back, whatever was done by then.
func TestReuseWhileDown(t *testing.T) {
	for what, broken := range map[string]func(s *site, on bool){
		"the store": func(s *site, on bool) {
			s.store.breaks(nil)
			if on {
				s.store.breaks(down("update"))
			}
		},
		"other nodes": func(s *site, on bool) {
			s.live.breaks(nil)
			if on {
				s.live.breaks(errDown)
			}
		},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				old := s.user("alice").get("refresh_token")
				now := good(t, "use", s.refresh(old))
				time.Sleep(time.Minute)
				broken(s, true)
				s.refresh(old).wants(t, "reuse", http.StatusServiceUnavailable, "temporarily_unavailable")
				broken(s, false)
				dead(t, "reuse again", s.refresh(old))
				dead(t, "the current one", s.refresh(now))
				_, n := s.live.counts()
				if dead(t, "and again", s.refresh(old)); n == 0 || n > 2 {
					t.Errorf("got %d revocations, want one that came through", n)
				}
				if _, more := s.live.counts(); more != n {
					t.Error("an ended family ends its session's connections over and over")
				}
			})
		})
	}
}

// A record that is no family is no token.
func TestStoreMalformed(t *testing.T) {
	s := newSite(t)
	token := s.user("alice").get("refresh_token")
	whole := s.store.copied()
	for _, text := range []string{"", "{}", "x", `{"subject":"alice","nonce":"AAAA"}`} {
		for key := range whole {
			s.store.put(key, []byte(text), time.Now().Add(time.Hour))
		}
		if a := s.refresh(token); a.status < 500 || a.get("access_token") != "" {
			t.Errorf("%q: got %d %s, want no token", text, a.status, a.text)
		}
	}
	s.store.restore(whole)
	good(t, "whole", s.refresh(token))
}

// What everybody must not see is in no log and in no error.
func TestSecretsAreNotLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		tokens := s.user("alice")
		next := good(t, "use", s.refresh(tokens.get("refresh_token")))
		time.Sleep(time.Minute)
		s.store.breaks(down("update"))
		s.refresh(next)
		s.store.breaks(nil)
		s.refresh(tokens.get("refresh_token"))
		s.post(issuer.RevokePath, "app", "token", tokens.get("access_token"))
		s.post(issuer.TokenPath, "", "grant_type", forClient, "client_id", "app", "client_secret", "canary-wrong")
		s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "canary-subject", "subject_token_type", "canary-type")
		text := s.log.String()
		for _, secret := range []string{
			"canary", "eyJ", "usher_refresh_", tokens.get("access_token")[60:90], next[20:50], s.options.Secret().Reveal(),
		} {
			if strings.Contains(text, secret) {
				t.Errorf("the log has %q in it", secret)
			}
		}
		if !strings.Contains(text, "issued") || !strings.Contains(text, "twice") || !strings.Contains(text, "refused") {
			t.Errorf("the log says too little:\n%s", text)
		}
	})
}

// A page that gives up does not leave the family in two minds.
func TestCanceled(t *testing.T) {
	s := newSite(t)
	token := s.user("alice").get("refresh_token")
	s.store.breaks(func(string, string) (error, error) {
		return errors.Join(usher.ErrUnavailable, http.ErrAbortHandler), nil
	})
	s.refresh(token).wants(t, "canceled", http.StatusServiceUnavailable, "temporarily_unavailable")
	s.store.breaks(nil)
	good(t, "after that", s.refresh(token))
}
