package tokens

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/usher-ws/usher"
)

// A Check is what a server does that verifies its tokens by itself: with
// go-jose, one key and its algorithm, and the policy that [usher.JWT] has.
type Check struct {
	algorithms []jose.SignatureAlgorithm
	key        any
}

// NewCheck returns a check with the first of the keys.
func NewCheck(algorithm string, keys []usher.Key) (*Check, error) {
	if len(keys) == 0 {
		return nil, errors.New("no key to check tokens with")
	}
	var key any = keys[0].Public
	if key == nil {
		key = []byte(keys[0].Secret.Reveal())
	}
	return &Check{[]jose.SignatureAlgorithm{jose.SignatureAlgorithm(algorithm)}, key}, nil
}

// Verify returns the subject of a token that is good.
func (c *Check) Verify(token string) (string, error) {
	if len(token) > usher.MaxToken {
		return "", errors.New("token too long")
	}
	t, err := jwt.ParseSigned(token, c.algorithms)
	if err != nil {
		return "", fmt.Errorf("parse token: %w", err)
	}
	switch typ, _ := t.Headers[0].ExtraHeaders[jose.HeaderType].(string); strings.ToLower(typ) {
	case "", "jwt", "at+jwt":
	default:
		return "", errors.New("token of another type")
	}
	var claims jwt.Claims
	if err := t.Claims(c.key, &claims); err != nil {
		return "", fmt.Errorf("check the signature: %w", err)
	}
	want := jwt.Expected{Issuer: Issuer, AnyAudience: jwt.Audience{Audience}, Time: time.Now()}
	if err := claims.ValidateWithLeeway(want, 0); err != nil {
		return "", fmt.Errorf("check the claims: %w", err)
	}
	if claims.Subject == "" || claims.Expiry == nil {
		return "", errors.New("token without subject or expiry")
	}
	return claims.Subject, nil
}
