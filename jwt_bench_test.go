package usher_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/usher-ws/usher"
)

// What one verdict costs, of which the signature is a part that no verifier
// can save.
func BenchmarkJWT(b *testing.B) {
	k := jwtKeys()
	for _, bb := range []struct {
		alg  string
		key  usher.Key
		sign signer
	}{
		{"HS256", usher.Key{Secret: usher.NewSecret(jwtSecret)}, signHS256(jwtSecret)},
		{"RS256", usher.Key{ID: "k1", Public: &k.rsa.PublicKey}, signRS256(k.rsa)},
		{"PS256", usher.Key{ID: "k1", Public: &k.rsa.PublicKey}, signPS256(k.rsa)},
		{"ES256", usher.Key{ID: "k1", Public: &k.p256.PublicKey}, signECDSA(k.p256)},
		{"ES384", usher.Key{ID: "k1", Public: &k.p384.PublicKey}, signECDSA(k.p384)},
		{"EdDSA", usher.Key{ID: "k1", Public: k.ed.Public()}, signEd25519(k.ed)},
	} {
		b.Run(bb.alg, func(b *testing.B) {
			v := verifierOf(b, bb.key)
			header := fmt.Sprintf(`{"alg":%q,"typ":"JWT","kid":"k1"}`, bb.alg)
			token := compact(header, claims(map[string]any{"sid": "s1", "jti": "t1"}), bb.sign)
			b.Run("again", func(b *testing.B) { benchmarkVerify(b, v, token, true) })
			v.Cache = -1
			b.Run("first", func(b *testing.B) { benchmarkVerify(b, v, token, true) })
		})
	}
}

// What a refusal costs before any signature is checked.
func BenchmarkJWTRefused(b *testing.B) {
	v := hs256(b)
	b.Run("another issuer", func(b *testing.B) {
		benchmarkVerify(b, v, good(map[string]any{"iss": "x"}), false)
	})
	b.Run("not a token", func(b *testing.B) { benchmarkVerify(b, v, "opaque", false) })
}

func benchmarkVerify(b *testing.B, v usher.Verifier, token string, want bool) {
	c := bearer(token)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Verify(context.Background(), c); (err == nil) != want {
			b.Fatalf("Verify: got %v, want admitted: %v", err, want)
		}
	}
}
