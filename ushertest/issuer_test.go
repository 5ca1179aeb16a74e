package ushertest_test

import (
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/ushertest"
)

func verify(t *testing.T, v usher.Verifier, token string) (*usher.Identity, error) {
	t.Helper()
	return v.Verify(t.Context(), usher.Credential{
		Carrier: "bearer", Kind: usher.KindToken, Secret: usher.NewSecret(token),
	})
}

func TestIssuerToken(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	v := issuer.Verifier()
	if err := v.Validate(); err != nil {
		t.Fatalf("Validate: got %v, want nil", err)
	}
	id, err := verify(t, v, issuer.Token("alice", usher.Claims{"sid": "s1", "room": "lobby"}))
	if err != nil {
		t.Fatalf("Verify: got %v, want nil", err)
	}
	if id.Subject != "alice" || id.Issuer != issuer.URL || id.Session != "s1" || id.Token == "" ||
		id.Claims.String("room") != "lobby" {
		t.Errorf("got %+v, want alice of session s1 with her room", id)
	}
	if left := time.Until(id.Expires); left < 4*time.Minute || left > 5*time.Minute {
		t.Errorf("got a token that is good for %v, want 5m", left)
	}
}

func TestIssuerRefusedTokens(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	v := issuer.Verifier()
	tests := []struct {
		name    string
		token   string
		expired bool
	}{
		{"expired", issuer.Expired("alice"), true},
		{"wrong key", issuer.WrongKey("alice"), false},
		{"another audience", issuer.Token("alice", usher.Claims{"aud": "other"}), false},
		{"no expiry", issuer.Token("alice", usher.Claims{"exp": nil}), false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := verify(t, v, tt.token)
			if err == nil || errors.Is(err, usher.ErrExpired) != tt.expired ||
				errors.Is(err, usher.ErrUnavailable) || errors.Is(err, usher.ErrUnrecognized) {
				t.Errorf("Verify: got %v, want a no, expired: %v", err, tt.expired)
			}
		})
	}
}

func TestIssuerRotates(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	v := issuer.Verifier()
	old := issuer.Token("alice")
	if _, err := verify(t, v, old); err != nil {
		t.Fatalf("Verify: got %v, want nil", err)
	}
	issuer.Rotate()
	if _, err := verify(t, v, issuer.Token("alice")); err != nil {
		t.Errorf("Verify of a token made after Rotate: got %v, want nil", err)
	}
	if _, err := verify(t, v, old); err == nil {
		t.Error("Verify of a token made before Rotate: got nil, want an error")
	}
}

func TestIssuerDown(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	issuer.SetDown(true)
	if _, err := verify(t, issuer.Verifier(), issuer.Token("alice")); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("Verify: got %v, want ErrUnavailable", err)
	}
	issuer.SetDown(false)
	if _, err := verify(t, issuer.Verifier(), issuer.Token("alice")); err != nil {
		t.Errorf("Verify: got %v, want nil", err)
	}
}

func TestIssuersAreStrangers(t *testing.T) {
	one, two := ushertest.NewIssuer(t), ushertest.NewIssuer(t)
	if _, err := verify(t, one.Verifier(), two.Token("alice")); !errors.Is(err, usher.ErrUnrecognized) {
		t.Errorf("Verify of another issuer's token: got %v, want ErrUnrecognized", err)
	}
	if _, err := verify(t, usher.AnyOf(one.Verifier(), two.Verifier()), two.Token("alice")); err != nil {
		t.Errorf("Verify by either: got %v, want nil", err)
	}
}

func TestIssuerKeysArePublic(t *testing.T) {
	issuer := ushertest.NewIssuer(t)
	resp, err := http.Post(issuer.JWKSURL(), "text/plain", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST: got status %d, want 405", resp.StatusCode)
	}
	http.DefaultClient.CloseIdleConnections()
}

// The example is a test, and passes.
func TestExampleOfIssuer(t *testing.T) { testWhoAmI(t) }
