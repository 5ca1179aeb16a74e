package usher_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

const (
	jwtIssuer   = "https://login.example.com"
	jwtAudience = "chat"
	jwtSecret   = "0123456789abcdef0123456789abcdef"
)

// A signer makes the signature of a JWS with the standard library alone, so
// that what the verifier says can be told from what go-jose says.
type signer func(input []byte) []byte

// jwtKeys are made once: RSA keys take their time.
var jwtKeys = sync.OnceValue(func() (k struct {
	rsa, weak  *rsa.PrivateKey
	p256, p384 *ecdsa.PrivateKey
	ed         ed25519.PrivateKey
},
) {
	must := func(err error) {
		if err != nil {
			panic(err)
		}
	}
	var err error
	k.rsa, err = rsa.GenerateKey(rand.Reader, 2048)
	must(err)
	k.weak, err = rsa.GenerateKey(rand.Reader, 1024)
	must(err)
	k.p256, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(err)
	k.p384, err = ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	must(err)
	_, k.ed, err = ed25519.GenerateKey(rand.Reader)
	must(err)
	return k
})

func signHS256(secret string) signer {
	return func(input []byte) []byte {
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(input)
		return mac.Sum(nil)
	}
}

func signRS256(key *rsa.PrivateKey) signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		signature, err := rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func signPS256(key *rsa.PrivateKey) signer {
	return func(input []byte) []byte {
		sum := sha256.Sum256(input)
		signature, err := rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:],
			&rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash})
		if err != nil {
			panic(err)
		}
		return signature
	}
}

func signECDSA(key *ecdsa.PrivateKey) signer {
	return func(input []byte) []byte {
		var digest []byte
		if key.Curve == elliptic.P384() {
			sum := sha512.Sum384(input)
			digest = sum[:]
		} else {
			sum := sha256.Sum256(input)
			digest = sum[:]
		}
		r, s, err := ecdsa.Sign(rand.Reader, key, digest)
		if err != nil {
			panic(err)
		}
		n := (key.Params().BitSize + 7) / 8
		return append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...)
	}
}

func signEd25519(key ed25519.PrivateKey) signer {
	return func(input []byte) []byte { return ed25519.Sign(key, input) }
}

func unsigned([]byte) []byte { return nil }

// fixed is a signature that has nothing to do with the input.
func fixed(signature []byte) signer { return func([]byte) []byte { return signature } }

func b64(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }

// compact makes a token of a header and a payload that need not be JSON.
func compact(header, payload string, sign signer) string {
	input := b64(header) + "." + b64(payload)
	return input + "." + base64.RawURLEncoding.EncodeToString(sign([]byte(input)))
}

// claims returns a good payload, with changes; a change to nil takes a claim
// out, and one to a json.RawMessage can be anything.
func claims(changes map[string]any) string {
	now := time.Now().Unix()
	c := map[string]any{
		"iss": jwtIssuer, "aud": jwtAudience, "sub": "alice",
		"iat": now, "exp": now + 300,
	}
	maps.Copy(c, changes)
	maps.DeleteFunc(c, func(_ string, v any) bool { return v == nil })
	text, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// good is a token that the verifier of hs256 accepts, with changes to its
// claims.
func good(changes map[string]any) string {
	return compact(`{"alg":"HS256","typ":"JWT"}`, claims(changes), signHS256(jwtSecret))
}

func bearer(token string) usher.Credential {
	return usher.Credential{Carrier: "bearer", Kind: usher.KindToken, Secret: usher.NewSecret(token)}
}

// verifierOf judges tokens of keys.
func verifierOf(t testing.TB, keys ...usher.Key) *usher.JWT {
	t.Helper()
	set, err := usher.StaticKeys(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: set}
}

func hs256(t testing.TB) *usher.JWT {
	t.Helper()
	return verifierOf(t, usher.Key{Secret: usher.NewSecret(jwtSecret)})
}

// admits checks that a token is good.
func admits(t testing.TB, v usher.Verifier, token string) *usher.Identity {
	t.Helper()
	id, err := v.Verify(context.Background(), bearer(token))
	if err != nil {
		t.Fatalf("Verify: got %v, want nil", err)
	}
	return id
}

// The ways to be refused, by what they mean to a chain of verifiers.
const (
	sayNo           = "no"
	sayUnrecognized = "unrecognized"
	sayUnavailable  = "unavailable"
	sayExpired      = "expired"
)

func meaning(err error) string {
	switch {
	case err == nil:
		return "yes"
	case errors.Is(err, usher.ErrUnrecognized):
		return sayUnrecognized
	case errors.Is(err, usher.ErrUnavailable):
		return sayUnavailable
	case errors.Is(err, usher.ErrExpired):
		return sayExpired
	}
	return sayNo
}

// refuses checks that a token is refused, with an error of that meaning which
// contains neither the token nor a character that would break a log.
func refuses(t testing.TB, v usher.Verifier, token, want string) error {
	t.Helper()
	id, err := v.Verify(context.Background(), bearer(token))
	if id != nil {
		t.Fatalf("Verify: got identity %v, want none", id)
	}
	if got := meaning(err); got != want {
		t.Fatalf("Verify: got %q (%v), want %q", got, err, want)
	}
	for part := range strings.SplitSeq(token, ".") {
		if len(part) > 8 && strings.Contains(err.Error(), part) {
			t.Errorf("Verify: the error has a part of the token in it: %v", err)
		}
	}
	if strings.ContainsAny(err.Error(), "\r\n\x1b") {
		t.Errorf("Verify: the error has control characters in it: %q", err)
	}
	return err
}
