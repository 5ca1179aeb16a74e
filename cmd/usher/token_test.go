package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// mint runs "usher token" and returns what it prints.
func mint(t *testing.T, args ...string) string {
	t.Helper()
	var stdout, stderr bytes.Buffer
	args = append([]string{"token", "--sub", "alice", "--iss", "test", "--aud", "chat"}, args...)
	if code := run(t.Context(), args, &stdout, &stderr); code != exitOK {
		t.Fatalf("usher %v: got exit code %d: %s", args, code, stderr.String())
	}
	token, ok := strings.CutSuffix(stdout.String(), "\n")
	if !ok || strings.ContainsAny(token, " \n") {
		t.Fatalf("output: got %q, want a token and a newline", stdout.String())
	}
	return token
}

func verify(t *testing.T, keys usher.KeySet, token string) (*usher.Identity, error) {
	t.Helper()
	v := &usher.JWT{Issuer: "test", Audience: "chat", Keys: keys}
	if err := v.Validate(); err != nil {
		t.Fatal(err)
	}
	return v.Verify(t.Context(), usher.Credential{Kind: usher.KindToken, Secret: usher.NewSecret(token)})
}

func header(t *testing.T, token string) map[string]any {
	t.Helper()
	head, _, _ := strings.Cut(token, ".")
	text, err := base64.RawURLEncoding.DecodeString(head)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func write(t *testing.T, text []byte) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func encode(t *testing.T, kind string, der []byte, err error) []byte {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func pkcs8(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return encode(t, "PRIVATE KEY", der, err)
}

func jwk(t *testing.T, key jose.JSONWebKey) []byte {
	t.Helper()
	text, err := json.MarshalIndent(key, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestTokenIsAccepted(t *testing.T) {
	t.Parallel()
	p256, err256 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	p384, err384 := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	rsaKey, errRSA := rsa.GenerateKey(rand.Reader, 2048)
	_, edKey, errEd := ed25519.GenerateKey(rand.Reader)
	if err := errors.Join(err256, err384, errRSA, errEd); err != nil {
		t.Fatal(err)
	}
	sec1, err := x509.MarshalECPrivateKey(p256)
	sec1PEM := encode(t, "EC PRIVATE KEY", sec1, err)
	parameters := encode(t, "EC PARAMETERS", []byte{6, 8}, nil)
	for _, c := range []struct {
		name      string
		file      []byte
		key       crypto.Signer
		algorithm string
		kid       string // Default: the thumbprint.
	}{
		{name: "ed25519 pkcs8", file: pkcs8(t, edKey), key: edKey, algorithm: "EdDSA"},
		{name: "p-256 pkcs8", file: pkcs8(t, p256), key: p256, algorithm: "ES256"},
		{name: "p-256 sec1", file: sec1PEM, key: p256, algorithm: "ES256"},
		{name: "p-256 as openssl writes it", file: append(parameters, sec1PEM...), key: p256, algorithm: "ES256"},
		{name: "p-384 pkcs8", file: pkcs8(t, p384), key: p384, algorithm: "ES384"},
		{name: "rsa pkcs8", file: pkcs8(t, rsaKey), key: rsaKey, algorithm: "RS256"},
		{name: "rsa pkcs1", file: encode(t, "RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(rsaKey), nil), key: rsaKey, algorithm: "RS256"},
		{name: "ed25519 jwk", file: jwk(t, jose.JSONWebKey{Key: edKey, KeyID: "mine"}), key: edKey, algorithm: "EdDSA", kid: "mine"},
		{name: "p-256 jwk without kid", file: jwk(t, jose.JSONWebKey{Key: p256}), key: p256, algorithm: "ES256"},
		{name: "rsa jwk for ps256", file: jwk(t, jose.JSONWebKey{Key: rsaKey, KeyID: "ps", Algorithm: "PS256"}), key: rsaKey, algorithm: "PS256", kid: "ps"},
	} {
		t.Run(c.name, func(t *testing.T) {
			token := mint(t, "--key-file", write(t, c.file), "--sid", "s1", "--claim", "roles=[\"a\"]")
			if c.kid == "" {
				public := jose.JSONWebKey{Key: c.key.Public()}
				thumbprint, err := public.Thumbprint(crypto.SHA256)
				if err != nil {
					t.Fatal(err)
				}
				c.kid = base64.RawURLEncoding.EncodeToString(thumbprint)
			}
			head := header(t, token)
			if head["alg"] != c.algorithm || head["kid"] != c.kid || head["typ"] != "JWT" {
				t.Errorf("header: got %v, want alg %s, kid %s, typ JWT", head, c.algorithm, c.kid)
			}
			keys, err := usher.StaticKeys(usher.Key{ID: c.kid, Algorithm: c.algorithm, Public: c.key.Public()})
			if err != nil {
				t.Fatal(err)
			}
			id, err := verify(t, keys, token)
			if err != nil {
				t.Fatal(err)
			}
			if id.Subject != "alice" || id.Session != "s1" || id.Token == "" {
				t.Errorf("identity: got %+v, want alice, session s1 and a token id", id)
			}
			if left := time.Until(id.Expires); left <= 50*time.Second || left > time.Minute {
				t.Errorf("time left: got %v, want a minute at most", left)
			}
		})
	}
}

func TestTokenOfASecret(t *testing.T) {
	t.Parallel()
	const secret = "0123456789abcdef0123456789abcdef"
	keys, err := usher.HS256(usher.NewSecret(secret))
	if err != nil {
		t.Fatal(err)
	}
	for _, end := range []string{"", "\n", "\r\n"} {
		if _, err := verify(t, keys, mint(t, "--hs256-secret-file", write(t, []byte(secret+end)))); err != nil {
			t.Errorf("secret that ends in %q: got %v, want it accepted", end, err)
		}
	}
	expired := mint(t, "--hs256-secret-file", write(t, []byte(secret)), "--ttl=-1m")
	if _, err := verify(t, keys, expired); !errors.Is(err, usher.ErrExpired) {
		t.Errorf("expired token: got %v, want %v", err, usher.ErrExpired)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	secret := write(t, bytes.Repeat([]byte("k"), 32))
	token := mint(t, "--hs256-secret-file", secret,
		"--claim", "n=12345678901234567890", "--claim", "s=1 2", "--claim", "o={\"a\":[true,null]}",
		"--claim", "q=\"12\"", "--claim", "empty=", "--claim", "eq=a=b", "--claim", "list=a,b;c", "--claim", "jti=mine")
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"n":12345678901234567890`, `"s":"1 2"`, `"o":{"a":[true,null]}`, `"q":"12"`, `"empty":""`,
		`"eq":"a=b"`, `"list":"a,b;c"`, `"jti":"mine"`,
	} {
		if !bytes.Contains(payload, []byte(want)) {
			t.Errorf("payload: got %s, want %s in it", payload, want)
		}
	}
}

func TestKeysThatAreRefused(t *testing.T) {
	t.Parallel()
	p521, err521 := ecdsa.GenerateKey(elliptic.P521(), rand.Reader)
	p256, err256 := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err521, err256); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		file []byte
		want string
	}{
		{"p-521", pkcs8(t, p521), "curve P-521"},
		{"another alg than the type's", jwk(t, jose.JSONWebKey{Key: p256, Algorithm: "ES384"}), "its type is for ES256"},
		{"broken der", encode(t, "PRIVATE KEY", []byte{1, 2, 3}, nil), "read key"},
		{"empty file", nil, "no private key"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			args := []string{"token", "--sub", "a", "--iss", "b", "--aud", "c", "--key-file", write(t, c.file)}
			code := run(t.Context(), args, &stdout, &stderr)
			if code != exitFailed || !strings.Contains(stderr.String(), c.want) || stdout.Len() > 0 {
				t.Errorf("got %d %q %q, want 1 and %q", code, stdout.String(), stderr.String(), c.want)
			}
		})
	}
}
