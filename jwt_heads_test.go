package usher_test

import (
	"fmt"
	"testing"

	"github.com/usher-ws/usher"
)

// uncached returns a JWT that remembers headers and no tokens.
func uncached(keys usher.KeySet) *usher.JWT {
	return &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys, Cache: -1}
}

// TestJWTHeadsFollowKeys has tokens with a header that was good before, after
// their key has changed: only what the text says is remembered.
func TestJWTHeadsFollowKeys(t *testing.T) {
	const header = `{"alg":"HS256","kid":"k1"}`
	other := "another-secret-another-secret-another"
	named := func(secret string) usher.Key { return usher.Key{ID: "k1", Secret: usher.NewSecret(secret)} }
	for _, tt := range []struct {
		name string
		then []usher.Key
		by   string // The secret of the second token.
		want string // See meaning; empty for a yes.
	}{
		{"the same", []usher.Key{named(jwtSecret)}, jwtSecret, ""},
		{"another secret", []usher.Key{named(other)}, other, ""},
		{"the old secret", []usher.Key{named(other)}, jwtSecret, "no"},
		{"the new one of two", []usher.Key{named(jwtSecret), named(other)}, other, ""},
		{"a forged one", []usher.Key{named(jwtSecret)}, other, "no"},
		{"no key", nil, jwtSecret, "no"},
		{"a public key of its name", []usher.Key{publicKey("k1", jwtKeys().p256)}, jwtSecret, "no"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			keys := &changingKeys{keys: []usher.Key{named(jwtSecret)}}
			v := uncached(keys)
			for range 2 {
				admits(t, v, compact(header, claims(nil), signHS256(jwtSecret)))
			}
			keys.set(nil, tt.then...)
			token := compact(header, claims(nil), signHS256(tt.by))
			if tt.want == "" {
				admits(t, v, token)
			} else {
				refuses(t, v, token, tt.want)
			}
			keys.set(nil, named(jwtSecret))
			admits(t, v, compact(header, claims(nil), signHS256(jwtSecret)))
		})
	}
}

// TestJWTHeadsOnlyOfGoodTokens has headers that are refused come with signatures
// that are good, again and again and between good ones.
func TestJWTHeadsOnlyOfGoodTokens(t *testing.T) {
	keys, err := usher.HS256(usher.NewSecret(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	v := uncached(keys)
	for range 3 {
		admits(t, v, compact(`{"alg":"HS256"}`, claims(nil), signHS256(jwtSecret)))
		for _, header := range []string{
			`{"alg":"HS256","typ":"logout+jwt"}`, `{"alg":"HS256","crit":["exp"]}`, `{"alg":"HS256","b64":false}`,
			`{"alg":"none"}`, `{"alg":"HS512"}`, `{"alg":"HS256","alg":"HS256"}`, `{"alg":"HS256"`,
		} {
			refuses(t, v, compact(header, claims(nil), signHS256(jwtSecret)), "no")
		}
		// A remembered header makes nothing good of the rest.
		refuses(t, v, compact(`{"alg":"HS256"}`, claims(nil), unsigned), "no")
		refuses(t, v, compact(`{"alg":"HS256"}`, claims(map[string]any{"aud": "another"}), signHS256(jwtSecret)), "no")
	}
}

// TestJWTHeadsTurnOver has more headers than are remembered, and one that is too
// long for that.
func TestJWTHeadsTurnOver(t *testing.T) {
	keys, err := usher.HS256(usher.NewSecret(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	v := uncached(keys)
	for range 2 {
		for i := range 50 {
			header := fmt.Sprintf(`{"alg":"HS256","kid":"key-%d"}`, i)
			admits(t, v, compact(header, claims(nil), signHS256(jwtSecret)))
		}
		admits(t, v, compact(fmt.Sprintf(`{"alg":"HS256","x":"%0500d"}`, 1), claims(nil), signHS256(jwtSecret)))
	}
}
