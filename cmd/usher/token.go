package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// A tokenCommand makes a JWT (RFC 7519) that [usher.JWT] accepts, or refuses
// where that is to be tried out.
type tokenCommand struct {
	SecretFile string        `name:"hs256-secret-file" placeholder:"FILE" help:"Sign with HS256 and the secret in this file: at least 32 bytes, a newline at its end does not count."`
	KeyFile    string        `placeholder:"FILE" help:"Sign with this private key: PEM (PKCS #8, SEC 1, PKCS #1) or a JWK. Its type decides the algorithm: EdDSA, ES256, ES384 or RS256."`
	Subject    string        `name:"sub" required:"" help:"Who it is (sub)."`
	Issuer     string        `name:"iss" required:"" help:"Who vouches for it (iss)."`
	Audience   string        `name:"aud" required:"" help:"Whom it is meant for (aud)."`
	TTL        time.Duration `name:"ttl" default:"60s" help:"How long it is good for, in whole seconds; --ttl=-1m makes one that has expired."`
	Session    string        `name:"sid" help:"The login that it belongs to (sid)."`
	Claims     []string      `name:"claim" sep:"none" placeholder:"NAME=VALUE" help:"One more claim; may be given again. VALUE is taken as JSON if it is JSON, else as a string."`
}

// Help is what "usher token --help" says besides its flags.
func (tokenCommand) Help() string {
	return `Example, with a new secret:

  head -c 32 /dev/urandom | base64 > secret
  usher token --hs256-secret-file secret --sub alice --iss test --aud chat`
}

// Run prints the token and a newline.
func (c *tokenCommand) Run(stdout io.Writer) error {
	if (c.SecretFile == "") == (c.KeyFile == "") {
		return usagef("give either --hs256-secret-file or --key-file")
	}
	claims, err := c.claims(time.Now())
	if err != nil {
		return err
	}
	key, err := c.signingKey()
	if err != nil {
		return err
	}
	token, err := sign(key, claims)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintln(stdout, token)
	return err
}

func (c *tokenCommand) signingKey() (jose.SigningKey, error) {
	if c.SecretFile != "" {
		return readSecret(c.SecretFile)
	}
	return readKey(c.KeyFile)
}

func (c *tokenCommand) claims(now time.Time) (map[string]any, error) {
	switch {
	case c.Subject == "":
		return nil, usagef("--sub is empty")
	case c.Issuer == "":
		return nil, usagef("--iss is empty")
	case c.Audience == "":
		return nil, usagef("--aud is empty")
	case c.TTL%time.Second != 0:
		return nil, usagef("--ttl %v: give whole seconds, since a token's times have no smaller unit", c.TTL)
	}
	claims := map[string]any{
		"sub": c.Subject,
		"iss": c.Issuer,
		"aud": c.Audience,
		"iat": now.Unix(),
		"exp": now.Add(c.TTL).Unix(),
	}
	reserved := map[string]string{
		"sub": "--sub", "iss": "--iss", "aud": "--aud", "exp": "--ttl", "iat": "the clock",
	}
	if c.Session != "" {
		claims["sid"] = c.Session
		reserved["sid"] = "--sid"
	}
	for _, text := range c.Claims {
		name, value, ok := strings.Cut(text, "=")
		if !ok || name == "" {
			return nil, usagef("--claim %q: want NAME=VALUE", text)
		}
		if by, taken := reserved[name]; taken {
			return nil, usagef("--claim %s: this claim is set by %s", name, by)
		}
		reserved[name] = "an earlier --claim"
		claims[name] = claimValue(value)
	}
	if _, given := claims["jti"]; !given {
		claims["jti"] = rand.Text()
	}
	return claims, nil
}

// claimValue takes text as JSON if it is exactly one JSON value, else as a
// string. Numbers keep the digits they were given with.
func claimValue(text string) any {
	d := json.NewDecoder(bytes.NewReader([]byte(text)))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		return text
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return text
	}
	return v
}

// sign returns claims as a compact JWS (RFC 7515 §7.1).
func sign(key jose.SigningKey, claims map[string]any) (string, error) {
	signer, err := jose.NewSigner(key, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		return "", fmt.Errorf("prepare %s signature: %w", key.Algorithm, err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign token: %w", err)
	}
	return signed.CompactSerialize()
}
