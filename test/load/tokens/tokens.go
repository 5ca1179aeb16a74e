// Package tokens makes the tokens that the load is measured with, and checks
// them as a server would that has no Guard: with go-jose, by the same policy.
// Command load makes them before the clock starts, command server checks them.
package tokens

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/usher-ws/usher"
)

// What every token says, and the page that it comes from.
const (
	Issuer   = "https://login.example.com"
	Audience = "chat"
	Origin   = "https://app.example.com"
)

// HubKey is the name of the key that the tokens of a hub are signed with, where
// that is one of its own.
const HubKey = "load.main"

// Algorithms are those that tokens are signed with.
var Algorithms = []string{"HS256", "RS256", "ES256", "EdDSA"}

// TicketKey is the key of the tickets in a run. It protects nothing.
var TicketKey = strings.Repeat("k", 32)

// The name and password of Basic in a run. They protect nothing.
const (
	User     = "device"
	Password = "a password for a measurement"
)

// A Signer signs tokens with one key.
type Signer struct {
	builder jwt.Builder
	hub     jwt.Builder
	expires time.Time
	issued  time.Time
}

// NewSigner makes a new key and writes what verifies its tokens to dir, where
// [Load] finds it.
func NewSigner(algorithm, dir string) (*Signer, error) {
	private, public, err := newKey(algorithm)
	if err != nil {
		return nil, fmt.Errorf("make a key for %s: %w", algorithm, err)
	}
	text := []byte(nil)
	if secret, ok := public.([]byte); ok {
		text = secret
	} else {
		key := jose.JSONWebKey{Key: public, Algorithm: algorithm, Use: "sig"}
		if text, err = key.MarshalJSON(); err != nil {
			return nil, err
		}
	}
	if err := os.WriteFile(File(dir, algorithm), text, 0o600); err != nil {
		return nil, err
	}
	key := jose.SigningKey{Algorithm: jose.SignatureAlgorithm(algorithm), Key: private}
	options := (&jose.SignerOptions{}).WithType("JWT")
	signer, err := jose.NewSigner(key, options)
	if err != nil {
		return nil, err
	}
	if algorithm == "HS256" {
		options = options.WithHeader("kid", HubKey)
	}
	hub, err := jose.NewSigner(key, options)
	if err != nil {
		return nil, err
	}
	now := time.Now().Truncate(time.Second)
	return &Signer{jwt.Signed(signer), jwt.Signed(hub), now.Add(24 * time.Hour), now}, nil
}

// File is where the key is that verifies tokens of an algorithm.
func File(dir, algorithm string) string { return filepath.Join(dir, "key."+algorithm) }

func newKey(algorithm string) (private, public any, err error) {
	switch algorithm {
	case "HS256":
		secret := []byte(rand.Text() + rand.Text())
		return secret, secret, nil
	case "RS256":
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, nil, err
		}
		return key, &key.PublicKey, nil
	case "ES256":
		key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return nil, nil, err
		}
		return key, &key.PublicKey, nil
	case "EdDSA":
		public, private, err := ed25519.GenerateKey(rand.Reader)
		return private, public, err
	}
	return nil, nil, errors.New("unknown algorithm")
}

// Token returns a token for a subject, good for a day.
func (s *Signer) Token(subject string) (string, error) {
	return s.builder.Claims(s.claims(subject)).Serialize()
}

// HubToken returns a token that all hubs of a run take: for Usher's it says in
// the words of the Ably protocol, or of a login, whose it is and what it allows.
// HS256 is Usher's own key there, and ES256 that of a login.
func (s *Signer) HubToken(subject string) (string, error) {
	more := map[string]any{"x-ably-clientId": subject, "capability": map[string][]string{"*": {"*"}}}
	return s.hub.Claims(s.claims(subject)).Claims(more).Serialize()
}

func (s *Signer) claims(subject string) jwt.Claims {
	return jwt.Claims{
		Issuer: Issuer, Audience: jwt.Audience{Audience}, Subject: subject,
		IssuedAt: jwt.NewNumericDate(s.issued), Expiry: jwt.NewNumericDate(s.expires),
	}
}

// Load reads the key that a Signer has left in dir.
func Load(algorithm, dir string) (usher.KeySet, error) {
	if algorithm == "HS256" {
		secret, err := os.ReadFile(File(dir, algorithm))
		if err != nil {
			return nil, err
		}
		return usher.HS256(usher.NewSecret(string(secret)))
	}
	return usher.ReadKeys(File(dir, algorithm))
}
