package issuer_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// What is revoked by subject, session or issuer is revoked for as long as
// a family lives, not for a day.
func TestRemember(t *testing.T) {
	for _, tt := range []struct {
		name string
		r    usher.Revocation
		dead bool
	}{
		{"subject", usher.Revocation{Subject: "alice"}, true},
		{"subject of ours", usher.Revocation{Subject: "alice", Issuer: name}, true},
		{"subject of another issuer", usher.Revocation{Subject: "alice", Issuer: "https://else.example"}, false},
		{"another subject", usher.Revocation{Subject: "bob"}, false},
		{"session", usher.Revocation{Session: "app.s1"}, true},
		{"another session", usher.Revocation{Session: "app.s2"}, false},
		{"issuer", usher.Revocation{Issuer: name}, true},
		{"another issuer", usher.Revocation{Issuer: "https://else.example"}, false},
		{"a token", usher.Revocation{Token: "t1"}, false},
		{"a subject called as a session is", usher.Revocation{Subject: "app.s1"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t)
				token := s.user("alice", "session", "s1").get("refresh_token")
				time.Sleep(time.Second)
				if err := s.issuer.Remember(t.Context(), tt.r); err != nil {
					t.Fatal(err)
				}
				earlier := tt.r // One of before does not take it back.
				earlier.IssuedBefore = time.Now().Add(-time.Hour)
				if err := s.issuer.Remember(t.Context(), earlier); err != nil {
					t.Fatal(err)
				}
				time.Sleep(12 * 24 * time.Hour)
				again := s.user("alice", "session", "s1").get("refresh_token")
				if a := s.refresh(token); tt.dead {
					dead(t, "begun before", a)
				} else {
					good(t, "begun before, and not meant", a)
				}
				good(t, "begun after", s.refresh(again))
			})
		})
	}
	s := newSite(t)
	if err := s.issuer.Remember(t.Context(), usher.Revocation{}); err == nil {
		t.Error("a revocation of nobody was remembered")
	}
	s.store.breaks(func(string, string) (error, error) { return errDown, nil })
	if err := s.issuer.Remember(t.Context(), usher.Revocation{Subject: "alice"}); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}
