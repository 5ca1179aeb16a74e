package usher

import (
	"bytes"
	"context"
	"crypto/hmac"
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
	const secret, payload = "ssssssssssssssssssssssssssssssss", `{"iss":"i","aud":"a","sub":"s","exp":9e99}`
	f.Add(`{"alg":"HS256"}`, payload, []byte(nil))
	f.Add(`{"alg":"HS256","kid":"k","typ":"JWT"}`, payload, []byte{1})
	f.Add(`{"alg":"HS256","kid":"x"}`, payload, make([]byte, 33))
	f.Add(`{"alg":"HS256","crit":["exp"]}`, payload, []byte(nil))
	f.Add(`{"alg":"HS256","b64":false}`, payload, []byte(nil))
	f.Add(`{"alg":"HS256","jwk":{}}`, payload, []byte(nil))
	f.Add(`{"alg":"HS256" } `, `{"iss":"i","aud":["a"],"sub":"s","exp":1}`, []byte(nil))
	f.Add(`{"alg":"none"}`, payload, []byte(nil))
	f.Add(`{"alg":"ES256"}`, `{}`, []byte(nil))
	keys := keyList{{ID: "k", Secret: NewSecret(secret)}, {Secret: NewSecret(strings.Repeat("t", minSecret))}, {Secret: NewSecret(secret)}}
	verifier := func() *JWT { return &JWT{Issuer: "i", Audience: "a", Keys: keys, Cache: -1} }
	f.Fuzz(func(t *testing.T, header, text string, change []byte) {
		token := func(payload string, change []byte) Credential {
			input := base64url.EncodeToString([]byte(header)) + "." + base64url.EncodeToString([]byte(payload))
			mac := hmac.New(sha256.New, []byte(secret))
			mac.Write([]byte(input))
			signature := mac.Sum(nil)
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
		got, err := decodeClaims(payload)
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
