package usher

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
)

const (
	minSecret  = 32   // Bytes: RFC 7518 §3.2.
	minModulus = 2048 // Bits: RFC 7518 §3.3.
	maxModulus = 8192 // Bits, since the time of a check grows with them.
)

// A KeySet finds the keys that may have signed a token. It is called from many
// goroutines at once.
type KeySet interface {
	// Keys returns the keys that may have signed a token with this "kid", or
	// those to try where it has none and kid is empty. The kid is a stranger's
	// text: it may be compared, and nothing else. No key and no error means
	// that there is none, which is a refusal. An error means that it cannot be
	// told, which is ErrUnavailable to the client. The caller does not change
	// the result.
	Keys(ctx context.Context, kid string) ([]Key, error)
}

// A Key is a key that tokens are signed with: the public half, or the secret of
// HS256. It fixes the algorithm, so that a token cannot choose it (RFC 8725
// §3.1). A key that is too weak for its algorithm, or that has both Public and
// Secret, verifies nothing.
type Key struct {
	// ID is the "kid" of the tokens that are signed with it. Default: it is
	// tried for every kid that no other key of the set has.
	ID string
	// Algorithm is "HS256", "RS256", "PS256", "ES256", "ES384" or "EdDSA".
	// Default: what the key is good for, which for RSA is RS256 and PS256.
	Algorithm string
	// Public is an *[rsa.PublicKey] of 2048 to 8192 bits, an
	// *[ecdsa.PublicKey] on P-256 or P-384, or an [ed25519.PublicKey].
	Public crypto.PublicKey
	// Secret is that of HS256, of 32 bytes at least. Default: none.
	Secret Secret
}

var (
	secretAlgorithms  = []jose.SignatureAlgorithm{jose.HS256}
	rsaAlgorithms     = []jose.SignatureAlgorithm{jose.RS256, jose.PS256}
	p256Algorithms    = []jose.SignatureAlgorithm{jose.ES256}
	p384Algorithms    = []jose.SignatureAlgorithm{jose.ES384}
	ed25519Algorithms = []jose.SignatureAlgorithm{jose.EdDSA}

	allAlgorithms = slices.Concat(secretAlgorithms, rsaAlgorithms, p256Algorithms,
		p384Algorithms, ed25519Algorithms)
)

// algorithms returns what the key can verify. Its error says why it is nothing.
func (k *Key) algorithms() ([]jose.SignatureAlgorithm, error) {
	can, err := k.possible()
	if err != nil || k.Algorithm == "" {
		return can, err
	}
	i := slices.Index(can, jose.SignatureAlgorithm(k.Algorithm))
	if i < 0 {
		return nil, fmt.Errorf("not a key for algorithm %.40q", k.Algorithm)
	}
	return can[i : i+1], nil
}

// possible returns what a key of this type and size is good for.
func (k *Key) possible() ([]jose.SignatureAlgorithm, error) {
	if !k.Secret.Empty() {
		switch n := len(k.Secret.Reveal()); {
		case k.Public != nil:
			return nil, errors.New("both a secret and a public key")
		case n < minSecret:
			return nil, fmt.Errorf("secret of %d bytes; want at least %d, such as those of: openssl rand -base64 32", n, minSecret)
		}
		return secretAlgorithms, nil
	}
	switch pub := k.Public.(type) {
	case *rsa.PublicKey:
		if pub == nil || pub.N == nil {
			return nil, errors.New("empty rsa key")
		}
		if n := pub.N.BitLen(); n < minModulus || n > maxModulus {
			return nil, fmt.Errorf("rsa key of %d bits, allowed are %d to %d", n, minModulus, maxModulus)
		}
		return rsaAlgorithms, nil
	case *ecdsa.PublicKey:
		switch {
		case pub == nil:
			return nil, errors.New("empty ecdsa key")
		case pub.Curve == elliptic.P256():
			return p256Algorithms, nil
		case pub.Curve == elliptic.P384():
			return p384Algorithms, nil
		}
		return nil, errors.New("ecdsa key on a curve other than P-256 and P-384")
	case ed25519.PublicKey:
		if len(pub) != ed25519.PublicKeySize {
			return nil, errors.New("ed25519 key of a wrong length")
		}
		return ed25519Algorithms, nil
	case nil:
		return nil, errors.New("empty key")
	}
	return nil, fmt.Errorf("key of type %T", k.Public)
}

func (k *Key) accepts(alg jose.SignatureAlgorithm) bool {
	can, err := k.algorithms()
	return err == nil && slices.Contains(can, alg)
}

// material returns the key as go-jose takes it.
func (k *Key) material() any {
	if k.Public != nil {
		return k.Public
	}
	return []byte(k.Secret.Reveal())
}

// HS256 returns a set of the one secret that both sides share. It is an error
// if it has less than 32 bytes (RFC 7518 §3.2). Use random bytes, not words:
// whoever has one token can try secrets at leisure.
func HS256(secret Secret) (KeySet, error) {
	if secret.Empty() {
		return nil, errors.New("hs256: empty secret")
	}
	keys, err := StaticKeys(Key{Secret: secret})
	if err != nil {
		return nil, fmt.Errorf("hs256: %w", err)
	}
	return keys, nil
}

// StaticKeys returns a set of keys that does not change. It is an error if
// there is none, or if one of them verifies nothing.
func StaticKeys(keys ...Key) (KeySet, error) {
	if len(keys) == 0 {
		return nil, errors.New("key set: no key")
	}
	for i := range keys {
		if _, err := keys[i].algorithms(); err != nil {
			return nil, fmt.Errorf("key set: key %d: %w", i+1, err)
		}
	}
	return newKeyIndex(keys), nil
}

// A keyIndex is a set of keys that answers without allocating.
type keyIndex struct {
	all      []Key
	named    map[string][]Key
	nameless []Key
}

func newKeyIndex(keys []Key) *keyIndex {
	x := &keyIndex{all: slices.Clone(keys), named: make(map[string][]Key)}
	for _, k := range keys {
		if k.ID == "" {
			x.nameless = append(x.nameless, k)
		} else {
			x.named[k.ID] = append(x.named[k.ID], k)
		}
	}
	return x
}

// find returns the keys that may have signed a token with this kid.
func (x *keyIndex) find(kid string) []Key {
	if kid == "" {
		return x.all
	}
	if keys, ok := x.named[kid]; ok {
		return keys
	}
	return x.nameless
}

// Keys implements KeySet.
func (x *keyIndex) Keys(_ context.Context, kid string) ([]Key, error) { return x.find(kid), nil }
