package gateway

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// identityLifetime is how long the JWT for an upstream is good, for its
// handshake and nothing after.
const identityLifetime = 60 * time.Second

// IdentityType is the "typ" of the JWT for an upstream. No verifier of Usher
// takes it for a credential.
const IdentityType = "usher-identity+jwt"

// A Signer makes the short JWT that tells an upstream who is there. Its key
// lives as long as the process.
type Signer struct {
	signer jose.Signer
	public jose.JSONWebKey
}

// NewSigner returns a Signer with a new Ed25519 key.
func NewSigner() (*Signer, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make identity key: %w", err)
	}
	jwk := jose.JSONWebKey{Key: public, Algorithm: string(jose.EdDSA), Use: "sig"}
	sum, err := jwk.Thumbprint(crypto.SHA256)
	if err != nil {
		return nil, fmt.Errorf("make identity key: %w", err)
	}
	jwk.KeyID = fmt.Sprintf("%x", sum[:8])
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.EdDSA, Key: jose.JSONWebKey{Key: private, KeyID: jwk.KeyID}},
		(&jose.SignerOptions{}).WithType(IdentityType))
	if err != nil {
		return nil, fmt.Errorf("make identity key: %w", err)
	}
	return &Signer{signer: signer, public: jwk}, nil
}

// JWKS returns the public key as a JWK Set (RFC 7517 §5), for upstreams.
func (s *Signer) JWKS() ([]byte, error) {
	return json.Marshal(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{s.public}})
}

// sign returns the JWT for id at the target: "aud" is the upstream as the route
// has it, without its query.
func (s *Signer) sign(id *usher.Identity, t *Target) (string, error) {
	audience, _, _ := strings.Cut(t.name, "?")
	now := time.Now()
	claims := map[string]any{
		"iss": "usher", "aud": audience, "sub": id.Subject, "sid": id.Session,
		"iat": now.Unix(), "exp": now.Add(identityLifetime).Unix(), "jti": rand.Text(),
	}
	if id.Issuer != "" {
		claims["idp"] = id.Issuer
	}
	if len(id.Claims) > 0 {
		claims["claims"] = id.Claims
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign identity: %w", err)
	}
	signed, err := s.signer.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign identity: %w", err)
	}
	return signed.CompactSerialize()
}

// Identity says what an upstream is told of who is there.
type Identity struct {
	// Headers maps header names to claims: "sub", "iss", "sid", "jti", or the
	// name of a claim. A claim that is missing sets no header.
	Headers map[string]string
	// JWT is the header for the signed JWT. Default: none.
	JWT string
	// Signer signs it. Required with JWT.
	Signer *Signer
}

// canonical returns i with the names of its headers as net/http writes them.
func (i *Identity) canonical() Identity {
	c := Identity{Headers: make(map[string]string, len(i.Headers)), Signer: i.Signer}
	for name, claim := range i.Headers {
		c.Headers[http.CanonicalHeaderKey(name)] = claim
	}
	if i.JWT != "" {
		c.JWT = http.CanonicalHeaderKey(i.JWT)
	}
	return c
}

// tell calls set with the headers for the upstream.
func (i *Identity) tell(id *usher.Identity, t *Target, set func(name, value string)) error {
	for name, claim := range i.Headers {
		if value, ok := claimText(id, claim); ok {
			set(name, value)
		}
	}
	if i.JWT == "" {
		return nil
	}
	token, err := i.Signer.sign(id, t)
	if err != nil {
		return err
	}
	set(i.JWT, token)
	return nil
}

// claimText returns a claim as the value of a header.
func claimText(id *usher.Identity, claim string) (string, bool) {
	switch claim {
	case "sub":
		return headerText(id.Subject), true
	case "iss":
		return headerText(id.Issuer), id.Issuer != ""
	case "sid":
		return headerText(id.Session), true
	case "jti":
		return headerText(id.Token), id.Token != ""
	}
	switch v := id.Claims[claim].(type) {
	case nil:
		return "", false
	case string:
		return headerText(v), true
	default:
		text, err := json.Marshal(v)
		return headerText(string(text)), err == nil
	}
}

// headerText returns s as it can stand in a header: where it has other than
// visible ASCII and spaces within, percent-encoded as a whole. So is what has a
// "%" itself, or two subjects could look the same.
func headerText(s string) string {
	if s != strings.TrimSpace(s) {
		return url.PathEscape(s)
	}
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' || s[i] == '%' {
			return url.PathEscape(s)
		}
	}
	return s
}
