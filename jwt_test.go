package usher_test

import (
	"context"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

func TestJWTAlgorithms(t *testing.T) {
	k := jwtKeys()
	tests := []struct {
		name string
		alg  string
		key  usher.Key
		sign signer
	}{
		{"HS256", "HS256", usher.Key{Secret: usher.NewSecret(jwtSecret)}, signHS256(jwtSecret)},
		{"RS256", "RS256", usher.Key{Public: &k.rsa.PublicKey}, signRS256(k.rsa)},
		{"PS256", "PS256", usher.Key{Public: &k.rsa.PublicKey}, signPS256(k.rsa)},
		{"ES256", "ES256", usher.Key{Public: &k.p256.PublicKey}, signECDSA(k.p256)},
		{"ES384", "ES384", usher.Key{Public: &k.p384.PublicKey}, signECDSA(k.p384)},
		{"EdDSA", "EdDSA", usher.Key{Public: k.ed.Public()}, signEd25519(k.ed)},
		{"RS256 of a key for it", "RS256", usher.Key{Public: &k.rsa.PublicKey, Algorithm: "RS256"}, signRS256(k.rsa)},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := verifierOf(t, tt.key)
			header := `{"alg":"` + tt.alg + `","typ":"JWT","kid":"k1"}`
			admits(t, v, compact(header, claims(nil), tt.sign))
			refuses(t, v, compact(header, claims(nil), func(input []byte) []byte {
				signature := tt.sign(input)
				signature[len(signature)-1] ^= 1
				return signature
			}), sayNo)
			refuses(t, v, compact(header, claims(nil), func(input []byte) []byte {
				return tt.sign(append(input, 'x'))
			}), sayNo)
		})
	}
}

func TestJWTIdentity(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		got := admits(t, hs256(t), good(map[string]any{
			"sid": "s1", "jti": "t1", "room": map[string]any{"id": json.RawMessage("12345678901234567890")},
			"list": []any{json.RawMessage("1.50")},
		}))
		want := &usher.Identity{
			Subject: "alice", Issuer: jwtIssuer, Session: "s1", Token: "t1",
			Issued: now, Expires: now.Add(5 * time.Minute),
			Claims: usher.Claims{
				"iss": jwtIssuer, "aud": jwtAudience, "sub": "alice", "sid": "s1", "jti": "t1",
				"iat": json.Number("946684800"), "exp": json.Number("946685100"),
				"room": map[string]any{"id": json.Number("12345678901234567890")},
				"list": []any{json.Number("1.50")},
			},
		}
		if !got.Issued.Equal(want.Issued) || !got.Expires.Equal(want.Expires) {
			t.Errorf("times: got %v and %v, want %v and %v", got.Issued, got.Expires, want.Issued, want.Expires)
		}
		got.Issued, got.Expires = want.Issued, want.Expires
		if !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, want %+v", got, want)
		}
	})
}

func TestJWTClaims(t *testing.T) {
	raw := func(text string) json.RawMessage { return json.RawMessage(text) }
	tests := []struct {
		name    string
		changes map[string]any
		want    string
	}{
		{"as it should be", nil, "yes"},
		{"no iss", map[string]any{"iss": nil}, sayUnrecognized},
		{"another iss", map[string]any{"iss": "https://other.example.com"}, sayUnrecognized},
		{"iss with a slash more", map[string]any{"iss": jwtIssuer + "/"}, sayUnrecognized},
		{"iss in upper case", map[string]any{"iss": strings.ToUpper(jwtIssuer)}, sayUnrecognized},
		{"iss array", map[string]any{"iss": []string{jwtIssuer}}, sayUnrecognized},
		{"no aud", map[string]any{"aud": nil}, sayNo},
		{"aud null", map[string]any{"aud": raw("null")}, sayNo},
		{"another aud", map[string]any{"aud": "chat2"}, sayNo},
		{"aud array", map[string]any{"aud": []string{"other", jwtAudience}}, "yes"},
		{"aud array without ours", map[string]any{"aud": []string{"other"}}, sayNo},
		{"aud array empty", map[string]any{"aud": []string{}}, sayNo},
		{"aud array mixed", map[string]any{"aud": []any{jwtAudience, 1}}, sayNo},
		{"aud array nested", map[string]any{"aud": []any{[]string{jwtAudience}}}, sayNo},
		{"aud object", map[string]any{"aud": map[string]any{jwtAudience: true}}, sayNo},
		{"aud number", map[string]any{"aud": 1}, sayNo},
		{"no sub", map[string]any{"sub": nil}, sayNo},
		{"sub empty", map[string]any{"sub": ""}, sayNo},
		{"sub number", map[string]any{"sub": 7}, sayNo},
		{"sub null", map[string]any{"sub": raw("null")}, sayNo},
		{"sub array", map[string]any{"sub": []string{"alice"}}, sayNo},
		{"sid number", map[string]any{"sid": 7}, sayNo},
		{"sid null", map[string]any{"sid": raw("null")}, sayNo},
		{"jti number", map[string]any{"jti": 7}, sayNo},
		{"jti object", map[string]any{"jti": map[string]any{}}, sayNo},
		{"no exp", map[string]any{"exp": nil}, sayNo},
		{"exp string", map[string]any{"exp": "9999999999"}, sayNo},
		{"exp null", map[string]any{"exp": raw("null")}, sayNo},
		{"exp true", map[string]any{"exp": true}, sayNo},
		{"exp array", map[string]any{"exp": raw("[9999999999]")}, sayNo},
		{"exp past", map[string]any{"exp": 1}, sayExpired},
		{"exp zero", map[string]any{"exp": 0}, sayExpired},
		{"exp negative", map[string]any{"exp": -1}, sayExpired},
		{"exp very negative", map[string]any{"exp": raw("-1e400")}, sayExpired},
		{"exp least of int64", map[string]any{"exp": raw("-9223372036854775808")}, sayExpired},
		{"exp beyond int64", map[string]any{"exp": raw("9223372036854775808")}, "yes"},
		{"exp greatest of int64", map[string]any{"exp": raw("9223372036854775807")}, "yes"},
		{"exp 1e300", map[string]any{"exp": raw("1e300")}, "yes"},
		{"exp 1e400", map[string]any{"exp": raw("1e400")}, "yes"},
		{"exp of 400 digits", map[string]any{"exp": raw(strings.Repeat("9", 400))}, "yes"},
		{"no iat", map[string]any{"iat": nil}, "yes"},
		{"iat string", map[string]any{"iat": "1"}, sayNo},
		{"iat far in the future", map[string]any{"iat": raw("1e18")}, sayNo},
		{"iat negative", map[string]any{"iat": -5}, "yes"},
		{"nbf string", map[string]any{"nbf": "1"}, sayNo},
		{"nbf null", map[string]any{"nbf": raw("null")}, sayNo},
		{"nbf far in the future", map[string]any{"nbf": raw("99999999999999999999")}, sayNo},
		{"nbf past", map[string]any{"nbf": 1}, "yes"},
		{"expired and for another aud", map[string]any{"exp": 1, "aud": "other"}, sayNo},
		{"expired and without sub", map[string]any{"exp": 1, "sub": nil}, sayNo},
	}
	v := hs256(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.want != "yes" {
				refuses(t, v, good(tt.changes), tt.want)
				return
			}
			id := admits(t, v, good(tt.changes))
			if left := time.Until(id.Expires); left <= 0 || id.Expires.Year() > 9999 {
				t.Errorf("Expires: got %v, want a time from now to the year 9999", id.Expires)
			}
		})
	}
}

// exp has no leeway: the token ends with the second that it names. nbf and iat
// have.
func TestJWTTimes(t *testing.T) {
	tests := []struct {
		name   string
		leeway time.Duration
		claim  string
		ahead  string // Seconds from now, may be a fraction.
		want   string
	}{
		{"exp now", 0, "exp", "946684800", sayExpired},
		{"exp in a second", 0, "exp", "946684801", "yes"},
		{"exp in a tenth", 0, "exp", "946684800.1", "yes"},
		{"exp a tenth ago", 0, "exp", "946684799.9", sayExpired},
		{"exp just past, with leeway", time.Hour, "exp", "946684799", sayExpired},
		{"exp in exponents", 0, "exp", "9.46684801e8", "yes"},
		{"nbf in 30 s", 0, "nbf", "946684830", "yes"},
		{"nbf in 31 s", 0, "nbf", "946684831", sayNo},
		{"iat in 30 s", 0, "iat", "946684830", "yes"},
		{"iat in 31 s", 0, "iat", "946684831", sayNo},
		{"iat in 31 s, with leeway", time.Minute, "iat", "946684831", "yes"},
		{"iat in 1 s, without", -1, "iat", "946684801", sayNo},
		{"iat now, without", -1, "iat", "946684800", "yes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := hs256(t)
				v.Leeway = tt.leeway
				token := good(map[string]any{tt.claim: json.RawMessage(tt.ahead)})
				if tt.want == "yes" {
					admits(t, v, token)
				} else {
					refuses(t, v, token, tt.want)
				}
			})
		})
	}
}

func TestJWTExpiresWhileHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v, token := hs256(t), good(nil)
		time.Sleep(5*time.Minute - time.Nanosecond)
		admits(t, v, token)
		time.Sleep(time.Nanosecond)
		refuses(t, v, token, sayExpired)
	})
}

// Which of two faults is said decides what a client does next, and what an
// operator believes (CVE-2024-51744).
func TestJWTSaysSignatureBeforeExpired(t *testing.T) {
	expired := claims(map[string]any{"exp": 1})
	token := compact(`{"alg":"HS256"}`, expired, signHS256("another secret that is as long as ours"))
	err := refuses(t, hs256(t), token, sayNo)
	if !strings.Contains(err.Error(), "signature") {
		t.Errorf("got %q, want it to say that the signature is wrong", err)
	}
	refuses(t, hs256(t), compact(`{"alg":"HS256"}`, expired, signHS256(jwtSecret)), sayExpired)
}

func TestJWTValidate(t *testing.T) {
	keys, err := usher.HS256(usher.NewSecret(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name string
		jwt  *usher.JWT
		want string
	}{
		{"zero", &usher.JWT{}, "no issuer"},
		{"no audience", &usher.JWT{Issuer: jwtIssuer, Keys: keys}, "no audience"},
		{"no keys", &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience}, "no keys"},
		{"empty key set url", &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: &usher.JWKS{Log: quiet()}}, "no url"},
		{"whole", &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.jwt.Validate()
			if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Validate: got %v, want %q", err, tt.want)
			}
			if tt.want != "" {
				refuses(t, tt.jwt, good(nil), sayUnavailable)
			} else {
				admits(t, tt.jwt, good(nil))
			}
		})
	}
}

func TestJWTKinds(t *testing.T) {
	for _, kind := range []usher.Kind{usher.KindTicket, usher.KindPassword, ""} {
		c := bearer(good(nil))
		c.Kind = kind
		if _, err := hs256(t).Verify(t.Context(), c); !errors.Is(err, usher.ErrUnrecognized) {
			t.Errorf("Verify of kind %q: got %v, want ErrUnrecognized", kind, err)
		}
	}
}

// A chain goes on to the verifier of the token's own issuer, and no further.
func TestJWTInChain(t *testing.T) {
	other := hs256(t)
	other.Issuer = "https://other.example.com"
	opaque := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
		return &usher.Identity{Subject: "by the last"}, nil
	})
	chain := usher.AnyOf(hs256(t), other, opaque)
	if got := admits(t, chain, good(nil)).Issuer; got != jwtIssuer {
		t.Errorf("Issuer: got %q, want %q", got, jwtIssuer)
	}
	if got := admits(t, chain, good(map[string]any{"iss": other.Issuer})).Issuer; got != other.Issuer {
		t.Errorf("Issuer: got %q, want %q", got, other.Issuer)
	}
	if got := admits(t, chain, "an opaque token").Subject; got != "by the last" {
		t.Errorf("Subject: got %q, want that of the last verifier", got)
	}
	refuses(t, chain, good(map[string]any{"aud": "other"}), sayNo)
	refuses(t, chain, good(map[string]any{"exp": 1}), sayExpired)
}

func TestJWTTypes(t *testing.T) {
	tests := []struct {
		name   string
		types  []string
		header string
		want   string
	}{
		{"none", nil, `{"alg":"HS256"}`, "yes"},
		{"JWT", nil, `{"alg":"HS256","typ":"JWT"}`, "yes"},
		{"jwt", nil, `{"alg":"HS256","typ":"jwt"}`, "yes"},
		{"access token", nil, `{"alg":"HS256","typ":"at+jwt"}`, "yes"},
		{"access token in full", nil, `{"alg":"HS256","typ":"application/at+jwt"}`, "yes"},
		{"access token in upper case", nil, `{"alg":"HS256","typ":"APPLICATION/AT+JWT"}`, "yes"},
		{"empty", nil, `{"alg":"HS256","typ":""}`, sayNo},
		{"prefix only", nil, `{"alg":"HS256","typ":"application/"}`, sayNo},
		{"prefix twice", nil, `{"alg":"HS256","typ":"application/application/jwt"}`, sayNo},
		{"number", nil, `{"alg":"HS256","typ":1}`, sayNo},
		{"array", nil, `{"alg":"HS256","typ":["JWT"]}`, sayNo},
		{"identity for a backend", nil, `{"alg":"HS256","typ":"usher-identity+jwt"}`, sayNo},
		{"logout token", nil, `{"alg":"HS256","typ":"logout+jwt"}`, sayNo},
		{"proof", nil, `{"alg":"HS256","typ":"dpop+jwt"}`, sayNo},
		{"security event", nil, `{"alg":"HS256","typ":"secevent+jwt"}`, sayNo},
		{"introspection answer", nil, `{"alg":"HS256","typ":"token-introspection+jwt"}`, sayNo},
		{"authorization request", nil, `{"alg":"HS256","typ":"oauth-authz-req+jwt"}`, sayNo},
		{"JOSE", nil, `{"alg":"HS256","typ":"JOSE"}`, sayNo},
		{"only access tokens: one", []string{"at+jwt"}, `{"alg":"HS256","typ":"at+jwt"}`, "yes"},
		{"only access tokens: JWT", []string{"at+jwt"}, `{"alg":"HS256","typ":"JWT"}`, sayNo},
		{"only access tokens: none", []string{"at+jwt"}, `{"alg":"HS256"}`, sayNo},
		{"listed in full", []string{"application/custom+jwt"}, `{"alg":"HS256","typ":"custom+jwt"}`, "yes"},
		{"none listed", []string{""}, `{"alg":"HS256"}`, "yes"},
		{"none listed, empty", []string{""}, `{"alg":"HS256","typ":""}`, sayNo},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := hs256(t)
			v.Types = tt.types
			token := compact(tt.header, claims(nil), signHS256(jwtSecret))
			if tt.want == "yes" {
				admits(t, v, token)
			} else {
				refuses(t, v, token, tt.want)
			}
		})
	}
}
