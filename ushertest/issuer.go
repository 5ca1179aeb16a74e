package ushertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
)

// tokenTTL is how long the tokens of an Issuer are good.
const tokenTTL = 5 * time.Minute

// An Issuer makes tokens, as a login service does, and publishes the keys that
// they are signed with on the loopback interface, so that a test goes the whole
// way from a token to a verdict. Its tokens are JWTs signed with ES256 and good
// for 5 minutes. It is safe for use by several goroutines.
type Issuer struct {
	// URL is the issuer's name, the claim "iss" of its tokens, and where its
	// configuration is found (OpenID Connect Discovery §4).
	URL string
	// Audience is the claim "aud" of its tokens, and what Verifier asks for.
	// Set it before either is used. Default: "test".
	Audience string

	// Immutable after NewIssuer.
	t      testing.TB
	server *httptest.Server

	mu sync.Mutex
	// Guarded by mu.
	key  signingKey
	down bool
}

type signingKey struct {
	name    string
	private *ecdsa.PrivateKey
}

// NewIssuer starts an issuer, which ends with the test.
func NewIssuer(t testing.TB) *Issuer {
	t.Helper()
	i := &Issuer{Audience: "test", t: t, key: newSigningKey(t)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /keys.json", i.serveKeys)
	mux.HandleFunc("GET /.well-known/openid-configuration", i.serveConfiguration)
	i.server = httptest.NewServer(mux)
	i.URL = i.server.URL
	t.Cleanup(i.server.Close)
	return i
}

// JWKSURL is where the issuer publishes its keys.
func (i *Issuer) JWKSURL() string { return i.server.URL + "/keys.json" }

// Verifier returns a verifier of the issuer's tokens that fetches its keys from
// JWKSURL. It notices rotated keys at once, where another would first let a
// cooldown pass. It ends with the test.
func (i *Issuer) Verifier() *usher.JWT {
	keys := &usher.JWKS{
		URL: i.JWKSURL(), Cooldown: time.Nanosecond, Log: slog.New(slog.DiscardHandler),
	}
	i.t.Cleanup(func() {
		if err := keys.Close(); err != nil {
			i.t.Errorf("close key set: %v", err)
		}
	})
	return &usher.JWT{Issuer: i.URL, Audience: i.Audience, Keys: keys}
}

// Token returns a good token for subject. Claims are added to those that it has
// anyway (iss, aud, sub, iat, exp, jti), or replace them; a nil value leaves one
// out.
func (i *Issuer) Token(subject string, claims ...usher.Claims) string {
	i.t.Helper()
	return i.sign(i.current(), subject, time.Now(), claims)
}

// Expired returns a token that was good until a second ago.
func (i *Issuer) Expired(subject string, claims ...usher.Claims) string {
	i.t.Helper()
	return i.sign(i.current(), subject, time.Now().Add(-tokenTTL-time.Second), claims)
}

// WrongKey returns a token that claims to be signed with the issuer's key, and
// is signed with another.
func (i *Issuer) WrongKey(subject string, claims ...usher.Claims) string {
	i.t.Helper()
	forged := newSigningKey(i.t)
	forged.name = i.current().name
	return i.sign(forged, subject, time.Now(), claims)
}

// Rotate replaces the issuer's key. Tokens made before are refused as soon as a
// verifier has fetched the keys anew, which the first token made after causes.
func (i *Issuer) Rotate() {
	i.t.Helper()
	key := newSigningKey(i.t)
	i.mu.Lock()
	defer i.mu.Unlock()
	i.key = key
}

// SetDown makes the issuer's key server fail, or work again. A verifier that
// has no keys yet then says [usher.ErrUnavailable].
func (i *Issuer) SetDown(down bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.down = down
}

func (i *Issuer) current() signingKey {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.key
}

func (i *Issuer) serveConfiguration(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	doc := map[string]string{"issuer": i.URL, "jwks_uri": i.JWKSURL()}
	if err := json.NewEncoder(w).Encode(doc); err != nil {
		i.t.Errorf("serve configuration: %v", err)
	}
}

func (i *Issuer) serveKeys(w http.ResponseWriter, _ *http.Request) {
	i.mu.Lock()
	key, down := i.key, i.down
	i.mu.Unlock()
	if down {
		http.Error(w, "down, as the test asked", http.StatusServiceUnavailable)
		return
	}
	set := jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{
		Key: &key.private.PublicKey, KeyID: key.name, Algorithm: string(jose.ES256), Use: "sig",
	}}}
	w.Header().Set("Content-Type", "application/jwk-set+json")
	if err := json.NewEncoder(w).Encode(set); err != nil {
		i.t.Errorf("serve keys: %v", err)
	}
}

// sign makes a token as of issued.
func (i *Issuer) sign(key signingKey, subject string, issued time.Time, extra []usher.Claims) string {
	i.t.Helper()
	claims := usher.Claims{
		"iss": i.URL, "aud": i.Audience, "sub": subject, "jti": rand.Text(),
		"iat": issued.Unix(), "exp": issued.Add(tokenTTL).Unix(),
	}
	for _, more := range extra {
		maps.Copy(claims, more)
	}
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	payload, err := json.Marshal(claims)
	if err != nil {
		i.t.Fatalf("make token: encode claims: %v", err)
	}
	signer, err := jose.NewSigner(
		jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: key.private, KeyID: key.name}},
		(&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		i.t.Fatalf("make token: %v", err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		i.t.Fatalf("make token: %v", err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		i.t.Fatalf("make token: %v", err)
	}
	return token
}

func newSigningKey(t testing.TB) signingKey {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make signing key: %v", err)
	}
	return signingKey{name: rand.Text(), private: private}
}
