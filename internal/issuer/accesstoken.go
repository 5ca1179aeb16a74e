package issuer

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// accessTokenType is the "typ" of access tokens (RFC 9068 §2.1). Nothing else
// that is signed with the same keys has it, if anything is.
const accessTokenType = "at+jwt"

// An accessToken is what an access token says.
type accessToken struct {
	client      string
	subject     string
	session     string // Empty: of no login.
	provider    string // Who vouched for the subject, if it was a token of another issuer.
	audience    []string
	permissions usher.Permissions
	since       time.Time // When what it is exchanged for was issued; zero: now.
	issued      time.Time
	expires     time.Time
}

// lasting sets the times: exp has whole seconds, and the token is good for as
// long as was said. It ends no later than limit, if that is not zero; its error
// is that this is now. The token is as old as what it is exchanged for, so that what
// revokes the one revokes the other, also where that is not heard of yet; but not
// so old that it would be refused within its life, as what is older than keep is.
func (t *accessToken) lasting(now time.Time, d time.Duration, limit time.Time, keep time.Duration) error {
	t.issued = now.Truncate(time.Second)
	t.expires = now.Add(d + time.Second - 1).Truncate(time.Second)
	if !limit.IsZero() && t.expires.After(limit) {
		t.expires = limit.Truncate(time.Second)
	}
	if t.expires.Sub(now) < time.Second {
		return bad(codeGrant, "what the token would be for ends now")
	}
	if !t.since.IsZero() {
		oldest := t.expires.Add(-keep)
		if t.since.After(oldest) {
			oldest = t.since
		}
		if oldest.Before(t.issued) {
			t.issued = oldest.Truncate(time.Second)
		}
	}
	return nil
}

// claims are those of RFC 9068 §2.2, and ours.
func (t *accessToken) claims(name string) map[string]any {
	c := map[string]any{
		"iss": name, "sub": t.subject, "client_id": t.client, "jti": rand.Text(),
		"iat": t.issued.Unix(), "exp": t.expires.Unix(), "aud": t.audience,
	}
	if len(t.audience) == 1 {
		c["aud"] = t.audience[0]
	}
	for claim, text := range map[string]string{"sid": t.session, "idp": t.provider, "scope": t.permissions.Scope()} {
		if text != "" {
			c[claim] = text
		}
	}
	if text := t.permissions.Capability(); text != "" {
		c["capability"] = json.RawMessage(text)
	}
	return c
}

// errNoKey: there is no key to sign with, or one that cannot.
var errNoKey = fmt.Errorf("sign access token: %w: no signing key", usher.ErrUnavailable)

// sign makes the token, and who its verifiers will say that its bearer is.
func (i *Issuer) sign(t *accessToken) (string, *usher.Identity, error) {
	keys := i.o.Signing.Keys()
	if len(keys) == 0 {
		return "", nil, errNoKey
	}
	payload, err := json.Marshal(t.claims(i.o.Name))
	if err != nil {
		return "", nil, fmt.Errorf("encode access token: %w", err)
	}
	signer, err := keys[0].signer()
	if err != nil {
		return "", nil, fmt.Errorf("sign access token: %w", err)
	}
	signed, err := signer.Sign(payload)
	if err != nil {
		return "", nil, fmt.Errorf("sign access token: %w", err)
	}
	text, err := signed.CompactSerialize()
	if err != nil {
		return "", nil, fmt.Errorf("sign access token: %w", err)
	}
	if len(text) > usher.MaxToken {
		return "", nil, bad(codeRequest, "the token would be larger than anybody takes: ask for fewer permissions")
	}
	id := &usher.Identity{Subject: t.subject, Issuer: i.o.Name, Session: t.session, Issued: t.issued, Expires: t.expires}
	d := json.NewDecoder(bytes.NewReader(payload))
	d.UseNumber()
	if err := d.Decode(&id.Claims); err != nil {
		return "", nil, fmt.Errorf("decode access token: %w", err)
	}
	id.Token = id.Claims.String("jti")
	return text, id, nil
}

// signer returns what signs with the key. It takes only what can be published as
// what it is.
func (k *SigningKey) signer() (jose.Signer, error) {
	var algorithm jose.SignatureAlgorithm
	switch private := k.Private.(type) {
	case *ecdsa.PrivateKey:
		if private.Curve == elliptic.P256() {
			algorithm = jose.ES256
		}
	case ed25519.PrivateKey:
		algorithm = jose.EdDSA
	}
	if algorithm == "" || string(algorithm) != k.Algorithm || k.ID == "" {
		return nil, fmt.Errorf("signing key %q is no key for %q", k.ID, k.Algorithm)
	}
	return jose.NewSigner(
		jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: k.Private, KeyID: k.ID}},
		(&jose.SignerOptions{}).WithType(accessTokenType))
}

// KeyDocument is the JWK Set (RFC 7517 §5) of all keys that are published.
func (i *Issuer) KeyDocument() ([]byte, error) {
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{}}
	for _, k := range i.o.Signing.Keys() {
		public := jose.JSONWebKey{Key: k.Private.Public(), KeyID: k.ID, Algorithm: k.Algorithm, Use: "sig"}
		if !public.IsPublic() {
			return nil, errors.New("encode keys: not a public key")
		}
		set.Keys = append(set.Keys, public)
	}
	return json.Marshal(set)
}

// verifying are the keys that access tokens are checked with.
type verifying struct{ signing Signing }

// Keys is [usher.KeySet.Keys].
func (v verifying) Keys(_ context.Context, kid string) ([]usher.Key, error) {
	for _, k := range v.signing.Keys() {
		if k.ID == kid {
			return []usher.Key{{ID: k.ID, Algorithm: k.Algorithm, Public: k.Private.Public()}}, nil
		}
	}
	return nil, nil
}

// tokens judge access tokens. Their life is bounded, or a token that was made with
// a stolen key would open what outlives the key.
type tokens struct {
	jwt  *usher.JWT
	most time.Duration // From iat to exp.
}

func (i *Issuer) tokens(audience string) tokens {
	v := &usher.JWT{Issuer: i.o.Name, Audience: audience, Keys: verifying{i.o.Signing}, Types: []string{accessTokenType}}
	// None of ours has more: neither MaxAccessToken nor the age that a token
	// inherits makes it longer than Keep, but for the second that exp is rounded up.
	return tokens{v, i.o.Keep + time.Second}
}

// Validate is [usher.JWT.Validate].
func (t tokens) Validate() error { return t.jwt.Validate() }

// Verify is [usher.JWT.Verify], for tokens that live as long as ours at most.
func (t tokens) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	id, err := t.jwt.Verify(ctx, c)
	switch {
	case err != nil:
		return nil, err
	case id.Issued.IsZero():
		return nil, errors.New("verify access token: no iat")
	case id.Expires.Sub(id.Issued) > t.most:
		return nil, errors.New("verify access token: longer than any of ours")
	}
	return id, nil
}
