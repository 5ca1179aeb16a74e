package demo

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// What the demo's tokens say, so that "usher token" can make more of them.
const (
	issuer   = "usher-demo"
	audience = "chat"
)

// The kinds of token that the page may ask for, with how long each is good.
var tokenTTL = map[string]time.Duration{
	"good":    5 * time.Minute,
	"brief":   10 * time.Second,
	"expired": -time.Minute,
	"forged":  5 * time.Minute, // Signed with a key that is not the issuer's.
	"opaque":  5 * time.Minute, // Says nothing by itself: the application is asked.
	"outage":  5 * time.Minute, // The same, and the application has no answer.
}

// token makes a token of a kind for who is logged in. Who is banned gets opaque ones
// where others get a good one: a JWT would be believed until it ends.
func (h *house) token(who login, kind string) (string, error) {
	ttl, ok := tokenTTL[kind]
	if !ok {
		return "", fmt.Errorf("no such kind of token: %q", kind)
	}
	now := time.Now()
	opaque := kind == "opaque" || kind == "outage"
	if opaque || users[who.subject].banned && (kind == "good" || kind == "brief") {
		return h.logins.start(login{subject: who.subject, expires: now.Add(ttl), outage: kind == "outage"}), nil
	}
	key := h.key
	if kind == "forged" {
		key = h.wrongKey
	}
	claims := map[string]any{
		"iss": issuer, "aud": audience, "sub": who.subject, "sid": who.session, "name": users[who.subject].name,
		"iat": now.Unix(), "exp": now.Add(ttl).Unix(), "jti": rand.Text(),
	}
	if ttl < 0 {
		claims["iat"] = now.Add(2 * ttl).Unix()
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
