package usher_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// jwksOf returns a JWK Set of keys that each have a name in front.
func jwksOf(t testing.TB, namesAndKeys ...any) string {
	t.Helper()
	var set jose.JSONWebKeySet
	for i := 0; i < len(namesAndKeys); i += 2 {
		set.Keys = append(set.Keys, jose.JSONWebKey{KeyID: namesAndKeys[i].(string), Key: namesAndKeys[i+1], Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// jwkOf returns one JWK with members added or replaced.
func jwkOf(t testing.TB, key any, changes map[string]any) string {
	t.Helper()
	text, err := json.Marshal(jose.JSONWebKey{Key: key})
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	for name, v := range changes {
		members[name] = v
	}
	if text, err = json.Marshal(members); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func writeFile(t testing.TB, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func pemOf(t testing.TB, kind string, key any) string {
	t.Helper()
	var der []byte
	var err error
	switch kind {
	case "PUBLIC KEY":
		der, err = x509.MarshalPKIXPublicKey(key)
	case "RSA PUBLIC KEY":
		der = x509.MarshalPKCS1PublicKey(key.(*rsa.PublicKey))
	case "PRIVATE KEY":
		der, err = x509.MarshalPKCS8PrivateKey(key)
	case "EC PRIVATE KEY":
		der, err = x509.MarshalECPrivateKey(key.(*ecdsa.PrivateKey))
	case "CERTIFICATE":
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "long expired"},
			NotBefore: time.Unix(0, 0), NotAfter: time.Unix(1, 0),
		}
		private := key.(*ecdsa.PrivateKey)
		der, err = x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	}
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

func TestReadKeys(t *testing.T) {
	k := jwtKeys()
	es256 := compact(`{"alg":"ES256","kid":"k1"}`, claims(nil), signECDSA(k.p256))
	rs256 := compact(`{"alg":"RS256","kid":"k1"}`, claims(nil), signRS256(k.rsa))
	ps256 := compact(`{"alg":"PS256"}`, claims(nil), signPS256(k.rsa))
	eddsa := compact(`{"alg":"EdDSA"}`, claims(nil), signEd25519(k.ed))
	named := compact(`{"alg":"HS256","kid":"k1"}`, claims(nil), signHS256(jwtSecret))
	tests := []struct {
		name, text, token string
	}{
		{"pem", pemOf(t, "PUBLIC KEY", &k.p256.PublicKey), es256},
		{"pem ed25519", pemOf(t, "PUBLIC KEY", k.ed.Public()), eddsa},
		{"pem rsa", pemOf(t, "PUBLIC KEY", &k.rsa.PublicKey), rs256},
		{"pem pkcs1", pemOf(t, "RSA PUBLIC KEY", &k.rsa.PublicKey), ps256},
		{"pem certificate", pemOf(t, "CERTIFICATE", k.p256), es256},
		{"pem with text around", "subject=x\n" + pemOf(t, "CERTIFICATE", k.p256) + "\nend\n", es256},
		{"pem of two", pemOf(t, "PUBLIC KEY", &k.rsa.PublicKey) + pemOf(t, "PUBLIC KEY", &k.p256.PublicKey), es256},
		{"jwk", jwkOf(t, &k.p256.PublicKey, nil), es256},
		{"jwk after white space", "\r\n " + jwkOf(t, &k.p256.PublicKey, nil), es256},
		{"jwk secret", jwkOf(t, []byte(jwtSecret), nil), good(nil)},
		{"jwk secret with alg", jwkOf(t, []byte(jwtSecret), map[string]any{"alg": "HS256", "kid": "k1"}), named},
		{"jwk to verify", jwkOf(t, &k.p256.PublicKey, map[string]any{"key_ops": []string{"verify"}, "use": "sig"}), es256},
		{"jwk with a broken certificate", jwkOf(t, &k.p256.PublicKey, map[string]any{"x5c": []string{"AAAA"}, "x5t": "?", "x5u": ":"}), es256},
		{"set", jwksOf(t, "k0", &k.rsa.PublicKey, "k1", &k.p256.PublicKey), es256},
		{"set with what is not understood", `{"keys":[{"kty":"new","kid":"k1"},{},null,7,` + jwkOf(t, &k.p256.PublicKey, nil) + `]}`, es256},
		{"set with members of its own", `{"issuer":"x","keys":[` + jwkOf(t, &k.rsa.PublicKey, nil) + `]}`, rs256},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := usher.ReadKeys(writeFile(t, tt.text))
			if err != nil {
				t.Fatalf("ReadKeys: got %v, want nil", err)
			}
			admits(t, &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}, tt.token)
		})
	}
}

func TestReadKeysRefuses(t *testing.T) {
	k := jwtKeys()
	p521, err := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	public := func(changes map[string]any) string { return jwkOf(t, &k.p256.PublicKey, changes) }
	tests := []struct {
		name, text, want string
	}{
		{"empty", "", "neither"},
		{"a secret", jwtSecret, "neither"},
		{"half a pem", pemOf(t, "PUBLIC KEY", &k.p256.PublicKey)[:80], "neither"},
		{"private pem", pemOf(t, "PRIVATE KEY", k.p256), "private key"},
		{"private pem of ec", pemOf(t, "EC PRIVATE KEY", k.p256), "private key"},
		{"private after public", pemOf(t, "PUBLIC KEY", &k.p256.PublicKey) + pemOf(t, "PRIVATE KEY", k.p256), "private key"},
		{"other pem", strings.ReplaceAll(pemOf(t, "PUBLIC KEY", &k.p256.PublicKey), "PUBLIC KEY", "X509 CRL"), "neither"},
		{"weak rsa pem", pemOf(t, "PUBLIC KEY", &k.weak.PublicKey), "1024 bits"},
		{"P-521 pem", pemOf(t, "PUBLIC KEY", &p521.PublicKey), "curve"},
		{"101 keys in pem", strings.Repeat(pemOf(t, "PUBLIC KEY", &k.p256.PublicKey), 101), "more than 100"},
		{"too large", strings.Repeat(" ", 1<<20) + "{}", "more than"},
		{"private jwk", jwkOf(t, k.p256, nil), "private key"},
		{"private rsa jwk", jwkOf(t, k.rsa, nil), "private key"},
		{"d null", public(map[string]any{"d": nil}), "private key"},
		{"weak rsa jwk", jwkOf(t, &k.weak.PublicKey, nil), "1024 bits"},
		{"short secret", jwkOf(t, []byte("short"), nil), "5 bytes"},
		{"secret for HS512", jwkOf(t, []byte(jwtSecret), map[string]any{"alg": "HS512"}), "HS512"},
		{"secret in a public key", public(map[string]any{"k": "AAAA"}), "secret"},
		{"use enc", public(map[string]any{"use": "enc"}), "use"},
		{"use empty", public(map[string]any{"use": ""}), "use"},
		{"key_ops sign", public(map[string]any{"key_ops": []string{"sign"}}), "key_ops"},
		{"key_ops empty", public(map[string]any{"key_ops": []string{}}), "key_ops"},
		{"key_ops string", public(map[string]any{"key_ops": "verify"}), "not a jwk"},
		{"alg of another kind", public(map[string]any{"alg": "RS256"}), "RS256"},
		{"alg of another curve", public(map[string]any{"alg": "ES384"}), "ES384"},
		{"alg none", public(map[string]any{"alg": "none"}), "none"},
		{"alg for encryption", public(map[string]any{"alg": "ECDH-ES"}), "ECDH-ES"},
		{"kid number", public(map[string]any{"kid": 1}), "not a jwk"},
		{"kid too long", public(map[string]any{"kid": strings.Repeat("k", 257)}), "257 bytes"},
		{"kty missing", `{"x":"AAAA"}`, "malformed"},
		{"off the curve", public(map[string]any{"x": b64(strings.Repeat("x", 32))}), "malformed"},
		{"x with padding", public(map[string]any{"x": b64(strings.Repeat("x", 32)) + "="}), "malformed"},
		{"duplicate kty", `{"kty":"oct","kty":"EC"}`, "malformed json"},
		{"empty set", `{"keys":[]}`, "no key"},
		{"set of null", `{"keys":null}`, "no key"},
		{"set of objects", `{"keys":{"k1":{}}}`, "not a jwk set"},
		{"set of private keys", `{"keys":[` + jwkOf(t, k.p256, nil) + `]}`, "private key"},
		{"101 keys", `{"keys":[` + strings.Repeat("{},", 100) + `{}]}`, "at most 100"},
		{"duplicate keys member", `{"keys":[],"keys":[]}`, "malformed json"},
		{"trailing", jwkOf(t, &k.p256.PublicKey, nil) + "{}", "malformed json"},
		{"very deep", `{"keys":` + strings.Repeat("[", 100_000), "malformed json"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			keys, err := usher.ReadKeys(writeFile(t, tt.text))
			if err == nil || keys != nil {
				t.Fatalf("ReadKeys: got %v and %v, want an error", keys, err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("ReadKeys: got %q, want it to say %q", err, tt.want)
			}
			if strings.Contains(err.Error(), jwtSecret) {
				t.Errorf("ReadKeys: the error has the secret in it: %v", err)
			}
		})
	}
	if _, err := usher.ReadKeys(filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("ReadKeys of no file: got nil, want an error")
	}
}

func TestHS256(t *testing.T) {
	for _, n := range []int{0, 1, 31} {
		if keys, err := usher.HS256(usher.NewSecret(strings.Repeat("s", n))); err == nil || keys != nil {
			t.Errorf("HS256 of %d bytes: got %v and %v, want an error", n, keys, err)
		}
	}
	if _, err := usher.HS256(usher.Secret{}); err == nil {
		t.Error("HS256 of no secret: got nil, want an error")
	}
	keys, err := usher.HS256(usher.NewSecret(jwtSecret))
	if err != nil {
		t.Fatal(err)
	}
	v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
	admits(t, v, good(nil))
	admits(t, v, compact(`{"alg":"HS256","kid":"whatever"}`, claims(nil), signHS256(jwtSecret)))
}

func TestStaticKeysChooses(t *testing.T) {
	k := jwtKeys()
	secret := func(n int) usher.Secret { return usher.NewSecret(fmt.Sprintf("%032d", n)) }
	keys, err := usher.StaticKeys(
		usher.Key{ID: "a", Secret: secret(1)}, usher.Key{ID: "b", Secret: secret(2)},
		usher.Key{Secret: secret(3)}, usher.Key{ID: "b", Public: &k.p256.PublicKey},
	)
	if err != nil {
		t.Fatal(err)
	}
	for kid, want := range map[string]int{"": 4, "a": 1, "b": 2, "unknown": 1} {
		got, err := keys.Keys(t.Context(), kid)
		if err != nil || len(got) != want {
			t.Errorf("Keys of %q: got %d keys and %v, want %d", kid, len(got), err, want)
		}
	}
	if _, err := usher.StaticKeys(); err == nil {
		t.Error("StaticKeys of none: got nil, want an error")
	}
	if _, err := usher.StaticKeys(usher.Key{Secret: secret(1)}, usher.Key{Public: &k.weak.PublicKey}); err == nil {
		t.Error("StaticKeys with a weak one: got nil, want an error")
	}
}

// However a key is printed, its secret is not.
func TestKeyConceals(t *testing.T) {
	key := usher.Key{ID: "k1", Secret: usher.NewSecret(jwtSecret)}
	keys, err := usher.StaticKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	v := &usher.JWT{Issuer: jwtIssuer, Audience: jwtAudience, Keys: keys}
	var buf bytes.Buffer
	for _, thing := range []any{key, &key, []usher.Key{key}, keys, v} {
		fmt.Fprintf(&buf, "%v %+v %#v %s", thing, thing, thing, thing)
		slog.New(slog.NewTextHandler(&buf, nil)).Info("key", "key", thing)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("key", "key", thing)
	}
	secret := []byte(jwtSecret)
	for _, form := range []string{"%s", "%d", "%x", "%#v"} {
		if text := strings.Trim(fmt.Sprintf(form, secret), "[]{}"); strings.Contains(buf.String(), text) {
			t.Errorf("a printed key has the secret in it, as %s: %s", form, buf.String())
		}
	}
}
