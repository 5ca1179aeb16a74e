package demo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// What the demo's tokens say, so that "usher token" can make more of them.
const (
	issuer   = "usher-demo"
	audience = "chat"
)

// outageClaim makes the verifier say that it cannot decide, to show what a
// page sees then.
const outageClaim = "demo_outage"

// The kinds of token that the page may ask for, with how long each is good.
var tokenTTL = map[string]time.Duration{
	"good":    5 * time.Minute,
	"brief":   10 * time.Second,
	"expired": -time.Minute,
	"forged":  5 * time.Minute, // Signed with a key that is not the issuer's.
	"outage":  5 * time.Minute, // The verifier cannot decide about it.
}

// A house is who logs people in and vouches for them: the part that an
// application has already.
type house struct {
	// Immutable after newHouse.
	key, wrongKey []byte
	jwt           *usher.JWT
	sessions      *sessions
	csrf          *usher.CSRF
	tickets       *usher.Tickets
	live          *usher.Sessions // The connections of all guards.
}

func newHouse(secret usher.Secret) (*house, error) {
	h := &house{
		key:      []byte(secret.Reveal()),
		wrongKey: []byte(rand.Text() + rand.Text()),
		sessions: newSessions(),
		csrf:     &usher.CSRF{},
		tickets:  &usher.Tickets{},
		live:     &usher.Sessions{},
	}
	if secret.Empty() {
		h.key = []byte(rand.Text() + rand.Text())
	}
	keys, err := usher.HS256(usher.NewSecret(string(h.key)))
	if err != nil {
		return nil, fmt.Errorf("use the demo's secret: %w", err)
	}
	h.jwt = &usher.JWT{Issuer: issuer, Audience: audience, Keys: keys}
	return h, nil
}

// token makes a token of a kind for subject.
func (h *house) token(subject, kind string) (string, error) {
	ttl, ok := tokenTTL[kind]
	if !ok {
		return "", fmt.Errorf("no such kind of token: %q", kind)
	}
	key := h.key
	if kind == "forged" {
		key = h.wrongKey
	}
	now := time.Now()
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": subject, "name": users[subject].name,
		"iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": rand.Text(),
	}
	if ttl < 0 {
		claims["iat"] = now.Add(2 * ttl).Unix()
	}
	if kind == "outage" {
		claims[outageClaim] = true
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: key},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("prepare signature: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}

// Verify judges a token: the library's verifier does, and then the house has
// its own say.
func (h *house) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	id, err := h.jwt.Verify(ctx, c)
	if err != nil {
		return nil, err
	}
	if id.Claims[outageClaim] == true {
		return nil, errors.Join(usher.ErrUnavailable, errors.New("simulated outage"))
	}
	if users[id.Subject].banned {
		return nil, errBanned
	}
	return id, nil
}
