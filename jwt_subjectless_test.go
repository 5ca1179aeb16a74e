package usher_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// A token about nobody is judged by the same rules as one about somebody, and is
// no credential.
func TestJWTOfNobody(t *testing.T) {
	v := verifierOf(t, usher.Key{ID: "hs", Secret: usher.NewSecret(jwtSecret)})
	about := good(map[string]any{"sub": nil, "sid": "s1"})
	claims, err := v.Claims(t.Context(), usher.NewSecret(about))
	if err != nil || claims.String("sid") != "s1" || claims.String("iss") != jwtIssuer {
		t.Errorf("got %v, %v, want the claims", claims, err)
	}
	refuses(t, v, about, sayNo)
	if _, err := v.Claims(t.Context(), usher.NewSecret(good(nil))); err != nil {
		t.Errorf("with a subject: got %v, want nil", err)
	}
	for _, tt := range jwtAttacks(t) {
		t.Run(tt.name, func(t *testing.T) {
			if claims, err := v.Claims(t.Context(), usher.NewSecret(tt.token)); meaning(err) != tt.want {
				t.Errorf("got %v, %v, want %q", claims, err, tt.want)
			}
		})
	}
	for name, tt := range map[string]struct {
		changes map[string]any
		want    string
	}{
		"expired":          {map[string]any{"exp": 1}, sayExpired},
		"no expiry":        {map[string]any{"exp": nil}, sayNo},
		"another audience": {map[string]any{"aud": "other"}, sayNo},
		"another issuer":   {map[string]any{"iss": "other"}, sayUnrecognized},
		"sub is a number":  {map[string]any{"sub": 7}, sayNo},
	} {
		if _, err := v.Claims(t.Context(), usher.NewSecret(good(tt.changes))); meaning(err) != tt.want {
			t.Errorf("%s: got %v, want %q", name, err, tt.want)
		}
	}
	if _, err := new(usher.JWT).Claims(t.Context(), usher.NewSecret(about)); meaning(err) != sayUnavailable {
		t.Errorf("without a configuration: got %v, want ErrUnavailable", err)
	}
}

// Whoever gives one credential for another can ask whether the first was revoked.
func TestAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &usher.Sessions{}
		id := &usher.Identity{Subject: "alice", Issuer: "login", Session: "s1", Issued: time.Now(), Expires: time.Now().Add(time.Hour)}
		if err := s.Admits(id); err != nil {
			t.Errorf("got %v, want nil", err)
		}
		time.Sleep(time.Second)
		if _, err := s.Revoke(t.Context(), usher.Revocation{Issuer: "login", Session: "s1"}); err != nil {
			t.Fatal(err)
		}
		if err := s.Admits(id); !errors.Is(err, usher.ErrRevoked) {
			t.Errorf("got %v, want ErrRevoked", err)
		}
		id.Issued = time.Now()
		if err := s.Admits(id); err != nil {
			t.Errorf("issued since: got %v, want nil", err)
		}
		time.Sleep(24*time.Hour + time.Second)
		if err := s.Admits(id); !errors.Is(err, usher.ErrExpired) {
			t.Errorf("older than revocations are kept: got %v, want ErrExpired", err)
		}
	})
}
