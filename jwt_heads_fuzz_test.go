package usher

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"testing"

	strictjson "github.com/go-jose/go-jose/v4/json"
)

// FuzzHeads: a JWT that remembers the header of a token says of the next one with
// that header what one says that has seen nothing yet and asks go-jose: the same
// identity, or the same error. change is laid over the signature, and behind it.
func FuzzHeads(f *testing.F) {
	const payload = `{"iss":"i","aud":"a","sub":"s","exp":9e99}`
	keys, sign := fuzzKeys(f)
	for i, alg := range []string{"HS256", "RS256", "PS256", "ES256", "ES384", "EdDSA"} {
		f.Add(`{"alg":"`+alg+`"}`, payload, []byte(nil), uint8(i))
		f.Add(`{"alg":"`+alg+`","kid":"k","typ":"JWT"}`, payload, []byte{1}, uint8(i))
		f.Add(`{"alg":"`+alg+`","kid":"x"}`, payload, append(make([]byte, 512), 1), uint8(i))
		f.Add(`{"alg":"`+alg+`","jwk":{}}`, payload, []byte(nil), uint8(i+1))
	}
	f.Add(`{"alg":"HS256","crit":["exp"]}`, payload, []byte(nil), uint8(0))
	f.Add(`{"alg":"HS256","b64":false}`, payload, []byte(nil), uint8(0))
	f.Add(`{"alg":"HS256" } `, `{"iss":"i","aud":["a"],"sub":"s","exp":1}`, []byte(nil), uint8(0))
	f.Add(`{"alg":"none"}`, payload, []byte(nil), uint8(0))
	verifier := func() *JWT { return &JWT{Issuer: "i", Audience: "a", Keys: keys, Cache: -1} }
	f.Fuzz(func(t *testing.T, header, text string, change []byte, by uint8) {
		token := func(payload string, change []byte) Credential {
			input := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString([]byte(payload))
			signature := sign[int(by)%len(sign)]([]byte(input))
			for i, b := range change {
				if i < len(signature) {
					signature[i] ^= b
				} else {
					signature = append(signature, b)
				}
			}
			return Credential{Kind: KindToken, Secret: NewSecret(input + "." + base64url.EncodeToString(signature))}
		}
		knows := verifier()
		_, err := knows.Verify(context.Background(), token(payload, nil))
		if head := base64url.EncodeToString([]byte(header)); err == nil && len(head) <= maxHeadText {
			if _, ok := knows.heads.find(head); !ok {
				t.Fatalf("header %q was good, and is not remembered", header)
			}
		}
		c := token(text, change)
		id, err := knows.Verify(context.Background(), c)
		want, wantErr := verifier().Verify(context.Background(), c)
		if !reflect.DeepEqual(id, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) ||
			errors.Is(err, ErrUnrecognized) != errors.Is(wantErr, ErrUnrecognized) || errors.Is(err, ErrExpired) != errors.Is(wantErr, ErrExpired) {
			t.Errorf("header %q, payload %q: got %v, %v, want %v, %v", header, text, id, err, want, wantErr)
		}
	})
}

// fuzzKeys returns a key for each algorithm, and one more secret, and what signs
// with them by the standard library alone.
func fuzzKeys(f *testing.F) (keyList, []func(input []byte) []byte) {
	secret := strings.Repeat("s", minSecret)
	rsaKey, err := rsa.GenerateKey(rand.Reader, minModulus)
	if err != nil {
		f.Fatal(err)
	}
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		f.Fatal(err)
	}
	keys := keyList{
		{Secret: NewSecret(strings.Repeat("t", minSecret))},
		{ID: "k", Secret: NewSecret(secret)},
		{Public: &rsaKey.PublicKey},
		{Public: ed.Public()},
	}
	must := func(signature []byte, err error) []byte {
		if err != nil {
			f.Fatal(err)
		}
		return signature
	}
	sign := []func(input []byte) []byte{
		func(input []byte) []byte {
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write(input)
			return mac.Sum(nil)
		},
		func(input []byte) []byte {
			sum := sha256.Sum256(input)
			return must(rsa.SignPKCS1v15(nil, rsaKey, crypto.SHA256, sum[:]))
		},
		func(input []byte) []byte {
			sum := sha256.Sum256(input)
			return must(rsa.SignPSS(rand.Reader, rsaKey, crypto.SHA256, sum[:], nil))
		},
	}
	for _, of := range []struct {
		curve elliptic.Curve
		hash  crypto.Hash
	}{{elliptic.P256(), crypto.SHA256}, {elliptic.P384(), crypto.SHA384}} {
		key, err := ecdsa.GenerateKey(of.curve, rand.Reader)
		if err != nil {
			f.Fatal(err)
		}
		keys = append(keys, Key{Public: &key.PublicKey})
		sign = append(sign, func(input []byte) []byte {
			h := of.hash.New()
			h.Write(input)
			r, s, err := ecdsa.Sign(rand.Reader, key, h.Sum(nil))
			n := of.hash.Size()
			return must(append(r.FillBytes(make([]byte, n)), s.FillBytes(make([]byte, n))...), err)
		})
	}
	return keys, append(sign, func(input []byte) []byte { return ed25519.Sign(ed, input) })
}

// keyList is a KeySet that has all of its keys tried.
type keyList []Key

func (l keyList) Keys(context.Context, string) ([]Key, error) { return l, nil }

// FuzzClaims: where claims end is told without reading on, and no other payload
// is taken for claims than by a reader that does.
func FuzzClaims(f *testing.F) {
	for _, payload := range []string{
		`{"a":1}`, ` {"a":{"b":[1,2.5]}} ` + "\r\n\t", `{"a":1}x`, `{"a":1}{}`, `{"a":1}` + "\x00", `{"a":1}` + "\u00a0", `{"a":1}]`, `{"a":1,"a":2}`,
		`{`, `[]`, `{} null`, `{"a":"` + strings.Repeat("x", 600) + `"}` + strings.Repeat(" ", 600), `{"a":"` + strings.Repeat("x", 600) + `"}` + strings.Repeat(" ", 600) + "1",
	} {
		f.Add([]byte(payload))
	}
	f.Fuzz(func(t *testing.T, payload []byte) {
		got, err := decodeClaims(string(payload))
		want, ok := claimsByReadingOn(payload)
		if (err == nil) != ok || ok && !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %v, %v, want %v, %v", payload, got, err, want, ok)
		}
	})
}

func claimsByReadingOn(payload []byte) (Claims, bool) {
	dec := strictjson.NewDecoder(bytes.NewReader(payload))
	dec.SetNumberType(strictjson.UnmarshalJSONNumber)
	var claims Claims
	if !bytes.HasPrefix(bytes.TrimLeft(payload, " \t\r\n"), []byte("{")) || dec.Decode(&claims) != nil {
		return nil, false
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, false
	}
	for name, v := range claims {
		claims[name] = plainNumbers(v)
	}
	return claims, true
}
