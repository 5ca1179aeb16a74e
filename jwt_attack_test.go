package usher_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// Everything that is known to have worked against some verifier, against one
// that has a key of each kind.
func TestJWTAttacks(t *testing.T) {
	k := jwtKeys()
	v := verifierOf(
		t,
		usher.Key{ID: "rsa", Public: &k.rsa.PublicKey},
		usher.Key{ID: "p256", Public: &k.p256.PublicKey},
		usher.Key{ID: "p384", Public: &k.p384.PublicKey},
		usher.Key{ID: "ed", Public: k.ed.Public()},
		usher.Key{ID: "hs", Secret: usher.NewSecret(jwtSecret)},
	)
	hs := signHS256(jwtSecret)
	admits(t, v, compact(`{"alg":"HS256","kid":"hs"}`, claims(nil), hs))
	for _, tt := range jwtAttacks(t) {
		t.Run(tt.name, func(t *testing.T) { refuses(t, v, tt.token, tt.want) })
	}
}

type jwtAttack struct{ name, token, want string }

func jwtAttacks(t *testing.T) []jwtAttack {
	hs, p := signHS256(jwtSecret), claims(nil)
	header := func(members string) string { return compact(`{"alg":"HS256",`+members+`}`, p, hs) }
	plain := compact(`{"alg":"HS256"}`, p, hs)
	parts := strings.Split(plain, ".")
	attacks := []jwtAttack{
		{"alg none", compact(`{"alg":"none"}`, p, unsigned), sayNo},
		{"alg None", compact(`{"alg":"None"}`, p, unsigned), sayNo},
		{"alg NONE with a signature", compact(`{"alg":"NONE"}`, p, hs), sayNo},
		{"alg empty", compact(`{"alg":""}`, p, hs), sayNo},
		{"alg absent", compact(`{}`, p, hs), sayNo},
		{"alg null", compact(`{"alg":null}`, p, hs), sayNo},
		{"alg array", compact(`{"alg":["HS256"]}`, p, hs), sayNo},
		{"alg hs256", compact(`{"alg":"hs256"}`, p, hs), sayNo},
		{"alg HS512", compact(`{"alg":"HS512"}`, p, hs), sayNo},
		{"alg RS1", compact(`{"alg":"RS1"}`, p, hs), sayNo},
		{"Alg beside nothing", compact(`{"Alg":"HS256"}`, p, hs), sayNo},
		{"header not an object", compact(`["HS256"]`, p, hs), sayNo},
		{"header null", compact(`null`, p, hs), sayNo},
		{"header not json", compact(`HS256`, p, hs), sayNo},
		{"header trailing", compact(`{"alg":"HS256"}{}`, p, hs), sayNo},
		{"empty signature", parts[0] + "." + parts[1] + ".", sayNo},
		{"signature cut", compact(`{"alg":"HS256"}`, p, func(in []byte) []byte { return hs(in)[:31] }), sayNo},
		{"signature longer", compact(`{"alg":"HS256"}`, p, func(in []byte) []byte { return append(hs(in), 0) }), sayNo},
		{"crit unknown", header(`"crit":["x"],"x":1`), sayNo},
		{"crit exp", header(`"crit":["exp"],"exp":1`), sayNo},
		{"crit b64", header(`"crit":["b64"],"b64":true`), sayNo},
		{"crit empty", header(`"crit":[]`), sayNo},
		{"b64 true", header(`"b64":true`), sayNo},
		{"kid of another algorithm", header(`"kid":"rsa"`), sayNo},
		{"kid unknown", header(`"kid":"nobody"`), sayNo},
		{"kid path", header(`"kid":"../../../../dev/null"`), sayNo},
		{"kid url", header(`"kid":"http://127.0.0.1/key"`), sayNo},
		{"kid sql", header(`"kid":"x' UNION SELECT 'secret"`), sayNo},
		{"kid line break", header(`"kid":"a\r\nlevel=ERROR msg=forged"`), sayNo},
		{"kid terminal", header(`"kid":"\u001b[2J"`), sayNo},
		{"kid number", header(`"kid":1`), sayNo},
		{"kid object", header(`"kid":{"$ne":""}`), sayNo},
		{"kid of 257 bytes", header(`"kid":"` + strings.Repeat("k", 257) + `"`), sayNo},
		{"duplicate alg", compact(`{"alg":"none","alg":"HS256"}`, p, hs), sayNo},
		{"duplicate kid", header(`"kid":"hs","kid":"hs"`), sayNo},
		{"duplicate in a header's object", header(`"x":{"a":1,"a":2}`), sayNo},
		{"nested token", compact(`{"alg":"HS256","cty":"JWT"}`, plain, hs), sayUnrecognized},
		{"header too deep", header(`"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), sayNo},
		{"x5c that is no certificate", header(`"x5c":["AAAA"]`), sayNo},
	}
	attacks = append(attacks, payloadAttacks(p, hs)...)
	attacks = append(attacks, shapeAttacks(plain)...)
	return append(attacks, keyAttacks(t, p)...)
}

func payloadAttacks(p string, hs signer) []jwtAttack {
	body := func(payload string) string { return compact(`{"alg":"HS256"}`, payload, hs) }
	with := func(members string) string { return body(strings.TrimSuffix(p, "}") + "," + members + "}") }
	return []jwtAttack{
		{"duplicate sub", with(`"sub":"root"`), sayNo},
		{"duplicate sub by escape", with(`"\u0073ub":"root"`), sayNo},
		{"duplicate iss", with(`"iss":"` + jwtIssuer + `"`), sayNo},
		{"duplicate in an object", with(`"a":{"b":1,"b":2}`), sayNo},
		{"duplicate far inside", with(`"a":[{"b":[{"c":1,"c":1}]}]`), sayNo},
		{"too deep", with(`"a":` + strings.Repeat("[", 40) + strings.Repeat("]", 40)), sayNo},
		{"too deep in 4000 brackets", with(`"a":` + strings.Repeat("[", 2500) + strings.Repeat("]", 2500)), sayNo},
		{"trailing object", body(p + p), sayNo},
		{"trailing garbage", body(p + "x"), sayNo},
		{"cut off", body(p[:len(p)-1]), sayNo},
		{"a comment", body("/**/" + p), sayUnrecognized},
		{"byte order mark", body("\ufeff" + p), sayUnrecognized},
		{"not utf-8", with("\"a\":\"\xff\""), sayUnrecognized},
		{"NaN", body(strings.Replace(p, `"exp":`, `"exp":NaN,"x":`, 1)), sayNo},
		{"Infinity", body(strings.Replace(p, `"exp":`, `"exp":Infinity,"x":`, 1)), sayNo},
		{"exp in hex", body(strings.Replace(p, `"exp":`, `"exp":0x7fffffff,"x":`, 1)), sayNo},
		{"EXP and SUB in upper case", body(strings.NewReplacer(`"exp"`, `"EXP"`, `"sub"`, `"SUB"`).Replace(p)), sayNo},
		{"payload null", body("null"), sayUnrecognized},
		{"payload array", body("[" + p + "]"), sayUnrecognized},
		{"payload string", body(`"alice"`), sayUnrecognized},
		{"payload empty", body(""), sayUnrecognized},
	}
}

// Spellings that a lenient reader takes for the same token.
func shapeAttacks(plain string) []jwtAttack {
	parts := strings.Split(plain, ".")
	last := func(part string, by byte) string { // The next text that decodes to the same leniently.
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		i := strings.IndexByte(alphabet, part[len(part)-1])
		return part[:len(part)-1] + string(alphabet[i^int(by)])
	}
	sloppy := b64(`{"alg":"HS256","x":"` + "1" + `"}`)
	for len(sloppy)%4 == 0 {
		sloppy = b64(`{"alg":"HS256","x":"` + strings.Repeat("1", len(sloppy)%7+1) + `"} `)
	}
	return []jwtAttack{
		{"empty", "", sayUnrecognized},
		{"one dot", ".", sayUnrecognized},
		{"two dots", "..", sayUnrecognized},
		{"two parts", parts[0] + "." + parts[1], sayUnrecognized},
		{"four parts", plain + ".x", sayUnrecognized},
		{"empty fourth part", plain + ".", sayUnrecognized},
		{"encrypted", "eyJhbGciOiJkaXIiLCJlbmMiOiJBMTI4R0NNIn0..AAAAAAAAAAAAAAAA.AAAA.AAAAAAAAAAAAAAAAAAAAAA", sayUnrecognized},
		{"json form", `{"payload":"` + parts[1] + `","protected":"` + parts[0] + `","signature":"` + parts[2] + `"}`, sayUnrecognized},
		{"padding", plain + "=", sayUnrecognized},
		{"space in front", " " + plain, sayUnrecognized},
		{"space behind", plain + " ", sayUnrecognized},
		{"line break behind", plain + "\n", sayUnrecognized},
		{"line break inside", parts[0] + "." + parts[1][:4] + "\r\n" + parts[1][4:] + "." + parts[2], sayUnrecognized},
		{"nul", plain + "\x00", sayUnrecognized},
		{"Bearer in front", "Bearer " + plain, sayUnrecognized},
		{"standard alphabet", parts[0] + "." + parts[1] + "." + parts[2][:40] + "+/" + parts[2][42:], sayUnrecognized},
		{"bits left over in the signature", parts[0] + "." + parts[1] + "." + last(parts[2], 1), sayUnrecognized},
		{"bits left over in the header", last(sloppy, 1) + "." + parts[1] + "." + parts[2], sayUnrecognized},
		{"not ascii", "é.é.é", sayUnrecognized},
		{"full-width dots", parts[0] + "．" + parts[1] + "．" + parts[2], sayUnrecognized},
	}
}

// Attacks on the choice of the key.
func keyAttacks(t *testing.T, p string) []jwtAttack {
	k := jwtKeys()
	der, err := x509.MarshalPKIXPublicKey(&k.rsa.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	jwk, err := json.Marshal(jose.JSONWebKey{Key: &k.rsa.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	mine, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	mineJWK, err := json.Marshal(jose.JSONWebKey{Key: &mine.PublicKey})
	if err != nil {
		t.Fatal(err)
	}
	pub := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
	pkcs1 := x509.MarshalPKCS1PublicKey(&k.rsa.PublicKey)
	confused := `{"alg":"HS256","kid":"rsa"}`
	attacks := []jwtAttack{
		{"embedded jwk", compact(`{"alg":"RS256","jwk":`+string(mineJWK)+`}`, p, signRS256(mine)), sayNo},
		{"embedded jwk with the kid of ours", compact(`{"alg":"RS256","kid":"rsa","jwk":`+string(mineJWK)+`}`, p, signRS256(mine)), sayNo},
		{"embedded symmetric jwk", compact(`{"alg":"HS256","jwk":{"kty":"oct","k":"`+b64(jwtSecret+"x")+`"}}`, p, signHS256(jwtSecret+"x")), sayNo},
		{"another key", compact(`{"alg":"RS256","kid":"rsa"}`, p, signRS256(mine)), sayNo},
		{"PS256 signature under RS256", compact(`{"alg":"RS256","kid":"rsa"}`, p, signPS256(k.rsa)), sayNo},
		{"ES256 under the name EdDSA", compact(`{"alg":"EdDSA","kid":"p256"}`, p, signECDSA(k.p256)), sayNo},
		{"P-384 under the name ES256", compact(`{"alg":"ES256","kid":"p384"}`, p, signECDSA(k.p384)), sayNo},
		{"ed25519 key as secret", compact(`{"alg":"HS256","kid":"ed"}`, p, signHS256(string(k.ed[32:]))), sayNo},
		{"RS256 to the secret's kid", compact(`{"alg":"RS256","kid":"hs"}`, p, signRS256(mine)), sayNo},
		{"empty secret", compact(`{"alg":"HS256"}`, p, signHS256("")), sayNo},
	}
	for name, secret := range map[string][]byte{
		"pem": pub, "pem without the last line break": []byte(strings.TrimSpace(string(pub))), "der": der,
		"pkcs1": pkcs1, "jwk": jwk, "modulus": k.rsa.N.Bytes(),
		"pkcs1 pem": pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
	} {
		attacks = append(attacks,
			jwtAttack{"public key as secret: " + name, compact(confused, p, signHS256(string(secret))), sayNo},
			jwtAttack{"and without kid: " + name, compact(`{"alg":"HS256"}`, p, signHS256(string(secret))), sayNo})
	}
	for _, n := range []int{64, 96} {
		alg := map[int]string{64: "ES256", 96: "ES384"}[n]
		zero := make([]byte, n)
		one := make([]byte, n)
		one[n/2-1], one[n-1] = 1, 1
		attacks = append(attacks,
			jwtAttack{alg + " with r = s = 0", compact(`{"alg":"`+alg+`"}`, p, fixed(zero)), sayNo},
			jwtAttack{alg + " with r = s = 1", compact(`{"alg":"`+alg+`"}`, p, fixed(one)), sayNo},
			jwtAttack{alg + " in ASN.1", compact(`{"alg":"`+alg+`"}`, p, fixed([]byte("\x30\x06\x02\x01\x00\x02\x01\x00"))), sayNo})
	}
	return attacks
}

// b64=false changes what is signed. The signature of this token is right by
// RFC 7797, and it is refused nevertheless.
func TestJWTUnencodedPayload(t *testing.T) {
	for _, header := range []string{`{"alg":"HS256","b64":false,"crit":["b64"]}`, `{"alg":"HS256","b64":false}`} {
		payload := claims(nil)
		signature := signHS256(jwtSecret)([]byte(b64(header) + "." + payload))
		token := b64(header) + "." + b64(payload) + "." + base64.RawURLEncoding.EncodeToString(signature)
		refuses(t, hs256(t), token, sayNo)
		refuses(t, hs256(t), b64(header)+"."+payload+"."+base64.RawURLEncoding.EncodeToString(signature), sayUnrecognized)
	}
}

// A key that says its algorithm is good for no other.
func TestJWTAlgorithmOfKey(t *testing.T) {
	k := jwtKeys()
	rs256 := compact(`{"alg":"RS256"}`, claims(nil), signRS256(k.rsa))
	ps256 := compact(`{"alg":"PS256"}`, claims(nil), signPS256(k.rsa))
	for algorithm, token := range map[string]string{"RS256": ps256, "PS256": rs256} {
		refuses(t, verifierOf(t, usher.Key{Public: &k.rsa.PublicKey, Algorithm: algorithm}), token, sayNo)
		admits(t, verifierOf(t, usher.Key{Public: &k.rsa.PublicKey}), token)
	}
}

// A kid is bounded, also where every kid would do.
func TestJWTKeyID(t *testing.T) {
	for n, want := range map[int]string{256: "yes", 257: sayNo} {
		token := compact(`{"alg":"HS256","kid":"`+strings.Repeat("k", n)+`"}`, claims(nil), signHS256(jwtSecret))
		if want == "yes" {
			admits(t, hs256(t), token)
		} else {
			refuses(t, hs256(t), token, want)
		}
	}
}

// What a token carries beside its signature does no harm to a good one.
func TestJWTIgnoresWhatItCarries(t *testing.T) {
	for _, member := range []string{
		`"jku":"http://127.0.0.1:1/keys"`, `"x5u":"http://127.0.0.1:1/cert"`, `"x5t":"AAAA"`,
		`"kid":"anything"`, `"cty":"JWT"`, `"x":{"y":[1,2,{"z":null}]}`,
	} {
		admits(t, hs256(t), compact(`{"alg":"HS256",`+member+`}`, claims(nil), signHS256(jwtSecret)))
	}
}

func TestJWTSize(t *testing.T) {
	v := hs256(t)
	sized := func(n int) string {
		for pad := n / 2; ; pad++ {
			token := good(map[string]any{"pad": strings.Repeat("x", pad)})
			if len(token) >= n {
				return token
			}
		}
	}
	if token := sized(usher.MaxToken - 1); len(token) <= usher.MaxToken {
		admits(t, v, token)
	} else {
		t.Fatalf("got a token of %d bytes, want at most %d", len(token), usher.MaxToken)
	}
	refuses(t, v, sized(usher.MaxToken+1), sayNo)
}

// A token that is too large costs nothing, and one that is as large as may be
// costs a bounded amount, whatever is in it (CVE-2025-30204, CVE-2025-27144).
func TestJWTAllocations(t *testing.T) {
	v := hs256(t)
	hs := signHS256(jwtSecret)
	brackets := strings.Repeat(`{"a":`, 30)
	tests := []struct {
		name  string
		token string
		most  uint64 // Bytes.
	}{
		{"1 MB of dots", strings.Repeat(".", 1<<20), 2 << 10},
		{"1 MB of text", strings.Repeat("A", 1<<20), 2 << 10},
		{"8 KiB of dots", strings.Repeat(".", usher.MaxToken), 2 << 10},
		{"8 KiB of brackets", compact(`{"alg":"HS256"}`, strings.Repeat("[", 6000), hs), 32 << 10},
		{"8 KiB of objects", compact(`{"alg":"HS256"}`, `{"a":`+strings.Repeat(`{"a":`, 1200), hs), 32 << 10},
		{"wide", compact(`{"alg":"HS256"}`, `{"a":[`+strings.Repeat("{},", 1900)+`{}]}`, hs), 2 << 20},
		{"nested often", compact(`{"alg":"HS256"}`, brackets+strings.Repeat("0,", 2500), hs), 256 << 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := bearer(tt.token)
			const runs = 20
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range runs {
				if _, err := v.Verify(context.Background(), c); err == nil {
					t.Fatal("Verify: got nil, want an error")
				}
			}
			runtime.ReadMemStats(&after)
			got := (after.TotalAlloc - before.TotalAlloc) / runs
			if got > tt.most {
				t.Errorf("got %d bytes allocated, want at most %d", got, tt.most)
			}
		})
	}
}

// noNetwork is a transport that must not be used.
type noNetwork struct{ t *testing.T }

func (n noNetwork) RoundTrip(r *http.Request) (*http.Response, error) {
	n.t.Errorf("a connection was made to %s", r.URL.Host)
	return nil, errors.New("no network here")
}

// Neither the default transport nor the host that a token names is ever asked;
// the configured URL is, once.
func TestJWTMakesNoConnection(t *testing.T) {
	trap, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer trap.Close()
	caught := make(chan struct{})
	go func() {
		defer close(caught)
		if c, err := trap.Accept(); err == nil {
			c.Close()
			t.Error("a connection was made to the host that a token names")
		}
	}()
	saved := http.DefaultTransport
	http.DefaultTransport = noNetwork{t}
	defer func() { http.DefaultTransport = saved }()
	asked := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, jwksOf(t, "k1", &jwtKeys().p256.PublicKey))
	}))
	defer server.Close()
	keys := &usher.JWKS{URL: server.URL, Log: quiet()}
	defer keys.Close()
	v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
	url := "http://" + trap.Addr().String() + "/key"
	for _, member := range []string{"jku", "x5u", "kid", "jwk", "iss", "typ"} {
		for _, alg := range []string{"ES256", "RS256", "HS256"} {
			header := fmt.Sprintf(`{"alg":%q,%q:%q}`, alg, member, url)
			refuses(t, v, compact(header, claims(nil), fixed(make([]byte, 64))), sayNo)
			refuses(t, v, compact(header, claims(map[string]any{"iss": url}), fixed(make([]byte, 64))), sayUnrecognized)
		}
	}
	trap.Close()
	<-caught
	if asked != 1 {
		t.Errorf("the key set was fetched %d times, want 1", asked)
	}
}

// A token without a kid is tried against a bounded number of keys.
func TestJWTKeysTried(t *testing.T) {
	k := jwtKeys()
	var keys []usher.Key
	for i := range 90 {
		keys = append(keys, usher.Key{ID: fmt.Sprint(i), Secret: usher.NewSecret(fmt.Sprintf("%032d", i))})
	}
	keys = append(keys, usher.Key{ID: "last", Public: &k.p256.PublicKey})
	v := verifierOf(t, keys...)
	admits(t, v, compact(`{"alg":"HS256","kid":"89"}`, claims(nil), signHS256(fmt.Sprintf("%032d", 89))))
	admits(t, v, compact(`{"alg":"HS256"}`, claims(nil), signHS256(fmt.Sprintf("%032d", 15))))
	refuses(t, v, compact(`{"alg":"HS256"}`, claims(nil), signHS256(fmt.Sprintf("%032d", 16))), sayNo)
	admits(t, v, compact(`{"alg":"ES256"}`, claims(nil), signECDSA(k.p256)))
}

// A key set of somebody's own cannot bring in what the library would refuse.
func TestJWTForeignKeySet(t *testing.T) {
	k := jwtKeys()
	var none *rsa.PublicKey
	tests := []struct {
		name  string
		keys  []usher.Key
		err   error
		token string
		want  string
	}{
		{"weak rsa", []usher.Key{{Public: &k.weak.PublicKey}}, nil, compact(`{"alg":"RS256"}`, claims(nil), signRS256(k.weak)), sayNo},
		{"short secret", []usher.Key{{Secret: usher.NewSecret("short")}}, nil, compact(`{"alg":"HS256"}`, claims(nil), signHS256("short")), sayNo},
		{"empty", []usher.Key{{}}, nil, compact(`{"alg":"HS256"}`, claims(nil), signHS256("")), sayNo},
		{"nil rsa", []usher.Key{{Public: none}}, nil, compact(`{"alg":"RS256"}`, claims(nil), signRS256(k.rsa)), sayNo},
		{"bytes as public key", []usher.Key{{Public: []byte(jwtSecret)}}, nil, good(nil), sayNo},
		{"both", []usher.Key{{Public: &k.rsa.PublicKey, Secret: usher.NewSecret(jwtSecret)}}, nil, good(nil), sayNo},
		{"none", nil, nil, good(nil), sayNo},
		{"error", nil, errors.New("database down"), good(nil), sayUnavailable},
		{"good", []usher.Key{{Secret: usher.NewSecret(jwtSecret)}}, nil, good(nil), "yes"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keySetFunc(func(string) ([]usher.Key, error) {
				return tt.keys, tt.err
			})}
			if tt.want == "yes" {
				admits(t, v, tt.token)
			} else {
				refuses(t, v, tt.token, tt.want)
			}
		})
	}
}

type keySetFunc func(kid string) ([]usher.Key, error)

func (f keySetFunc) Keys(_ context.Context, kid string) ([]usher.Key, error) { return f(kid) }

// Verifying from many goroutines at once is what a server does.
func TestJWTConcurrently(t *testing.T) {
	v, c := hs256(t), bearer(good(nil))
	done := make(chan error)
	for range 8 {
		go func() {
			_, err := v.Verify(context.Background(), c)
			done <- err
		}()
	}
	deadline := time.After(10 * time.Second)
	for range 8 {
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Verify: got %v, want nil", err)
			}
		case <-deadline:
			t.Fatal("Verify did not return")
		}
	}
}
