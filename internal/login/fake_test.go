package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	issuer       = "https://login.example.com"
	clientID     = "usher"
	clientSecret = "a secret: of the test/client+"
)

// A fake is a provider in memory, for answers that a real one would not give and
// for tests that run the clock. What it says can be changed.
type fake struct {
	t   testing.TB
	key *ecdsa.PrivateKey

	mu sync.Mutex
	// Guarded by mu.
	config  map[string]any
	claims  map[string]any                               // Over those of the next ID tokens; nil takes one out.
	sign    func(claims map[string]any) string           // Makes ID tokens.
	answer  func(form url.Values, answer map[string]any) // Changes the next answers.
	codes   map[string]url.Values                        // The requests that codes were given for.
	offline bool                                         // Whether there are refresh tokens.
	refresh map[string]bool                              // Those that are good, each once.
	status  int                                          // Of the token endpoint, where it is not 200.
	failure string                                       // The error with that.
	asked   []url.Values                                 // Questions to the token endpoint.
	slow    time.Duration
}

func newFake(t testing.TB) *fake {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	f := &fake{t: t, key: key, codes: make(map[string]url.Values), refresh: make(map[string]bool), claims: make(map[string]any)}
	f.config = map[string]any{
		"issuer": issuer, "authorization_endpoint": issuer + "/auth", "token_endpoint": issuer + "/token",
		"jwks_uri": issuer + "/jwks", "end_session_endpoint": issuer + "/logout?ui=en",
		"authorization_response_iss_parameter_supported": true,
	}
	f.sign = func(claims map[string]any) string { return f.signed("ES256", "JWT", f.key, claims) }
	return f
}

func (f *fake) set(change func(*fake)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(f)
}

func (f *fake) questions() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.asked)
}

// signed makes a token.
func (f *fake) signed(alg jose.SignatureAlgorithm, typ string, key any, claims map[string]any) string {
	payload, err := json.Marshal(claims)
	if err != nil {
		f.t.Fatal(err)
	}
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: jose.JSONWebKey{Key: key, KeyID: "k1"}}, options)
	if err != nil {
		f.t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		f.t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		f.t.Fatal(err)
	}
	return text
}

// over puts claims over others; nil takes one out.
func over(claims, changes map[string]any) map[string]any {
	maps.Copy(claims, changes)
	maps.DeleteFunc(claims, func(_ string, v any) bool { return v == nil })
	return claims
}

func (f *fake) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	slow := f.slow
	f.mu.Unlock()
	select {
	case <-time.After(slow):
	case <-r.Context().Done():
		return nil, r.Context().Err()
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	status, body := http.StatusNotFound, any(map[string]any{})
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		status, body = http.StatusOK, f.config
	case "/jwks":
		status, body = http.StatusOK, jose.JSONWebKeySet{Keys: []jose.JSONWebKey{
			{Key: &f.key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"},
		}}
	case "/token":
		text, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		form, err := url.ParseQuery(string(text))
		if err != nil {
			return nil, err
		}
		f.asked = append(f.asked, form)
		status, body = f.token(r, form)
	}
	text, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
		Body: io.NopCloser(strings.NewReader(string(text))),
	}, nil
}

// token is the token endpoint. Callers hold mu.
func (f *fake) token(r *http.Request, form url.Values) (status int, body any) {
	fail := func(status int, code string) (int, any) { return status, map[string]any{"error": code} }
	id, secret, _ := r.BasicAuth()
	switch {
	case f.status != 0:
		return fail(f.status, f.failure)
	case id != clientID || secret != url.QueryEscape(clientSecret):
		return fail(http.StatusUnauthorized, "invalid_client")
	}
	claims := map[string]any{
		"iss": issuer, "aud": clientID, "sub": "alice", "sid": "s1", "name": "Alice",
		"iat": time.Now().Unix(), "exp": time.Now().Unix() + 3600,
	}
	switch form.Get("grant_type") {
	case "authorization_code":
		asked, ok := f.codes[form.Get("code")]
		delete(f.codes, form.Get("code"))
		sum := sha256.Sum256([]byte(form.Get("code_verifier")))
		if !ok || asked.Get("code_challenge") != base64.RawURLEncoding.EncodeToString(sum[:]) ||
			form.Get("redirect_uri") != asked.Get("redirect_uri") {
			return fail(http.StatusBadRequest, "invalid_grant")
		}
		claims["nonce"] = asked.Get("nonce")
	case "refresh_token":
		if !f.offline || !f.refresh[form.Get("refresh_token")] {
			return fail(http.StatusBadRequest, "invalid_grant")
		}
		delete(f.refresh, form.Get("refresh_token"))
	default:
		return fail(http.StatusBadRequest, "unsupported_grant_type")
	}
	answer := map[string]any{"access_token": "access-canary", "token_type": "Bearer", "expires_in": 600}
	if f.offline {
		refresh := "refresh-canary-" + rand.Text()
		f.refresh[refresh] = true
		answer["refresh_token"] = refresh
	}
	answer["id_token"] = f.sign(over(claims, f.claims))
	if f.answer != nil {
		f.answer(form, answer)
	}
	return http.StatusOK, answer
}

// code is what the provider gives for a request: the address that it was sent a
// browser at.
func (f *fake) code(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		f.t.Fatal(err)
	}
	code := rand.Text()
	f.set(func(f *fake) { f.codes[code] = u.Query() })
	return code
}
