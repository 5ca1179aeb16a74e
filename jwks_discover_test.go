package usher_test

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
)

// pages answers by URL: with a document, or with a status that is a number.
type pages map[string]string

func (p pages) RoundTrip(r *http.Request) (*http.Response, error) {
	resp := &http.Response{StatusCode: http.StatusOK, Header: make(http.Header), Request: r}
	text, ok := p[r.URL.String()]
	switch text {
	case "302":
		resp.StatusCode, text = http.StatusFound, ""
		resp.Header.Set("Location", "https://elsewhere.example.com/")
	case "500":
		resp.StatusCode, text = http.StatusInternalServerError, ""
	default:
		if !ok {
			resp.StatusCode = http.StatusNotFound
		}
	}
	resp.Body = io.NopCloser(strings.NewReader(text))
	return resp, nil
}

func TestJWKSDiscovers(t *testing.T) {
	const keys = "https://keys.example.com/jwks"
	doc := func(issuer, uri string) string { return `{"issuer":"` + issuer + `","jwks_uri":"` + uri + `"}` }
	oidc, oauth := "/.well-known/openid-configuration", "/.well-known/oauth-authorization-server"
	const login, tenant = "https://login.example.com", "https://login.example.com/t/1"
	tests := []struct {
		name, issuer string
		pages        pages
		want         string // Of the error; "" is keys.
	}{
		{"OpenID Connect", login, pages{login + oidc: doc(login, keys)}, ""},
		{"with a slash", login + "/", pages{login + oidc: doc(login+"/", keys)}, ""},
		{"with a path", tenant, pages{tenant + oidc: doc(tenant, keys)}, ""},
		{"with an escaped path", login + "/a%2Fb", pages{login + "/a%2Fb" + oidc: doc(login+"/a%2Fb", keys)}, ""},
		{"OAuth", login, pages{login + oauth: doc(login, keys)}, ""},
		{"OAuth with a path", tenant, pages{login + oauth + "/t/1": doc(tenant, keys)}, ""},
		{"OAuth with a slash", tenant + "/", pages{login + oauth + "/t/1": doc(tenant+"/", keys)}, ""},
		{"loopback", "http://127.0.0.1:9", pages{"http://127.0.0.1:9" + oidc: doc("http://127.0.0.1:9", keys)}, ""},
		{"another issuer", login, pages{login + oidc: doc(login+".evil.example", keys)}, "another issuer"},
		{"almost this issuer", login, pages{login + oidc: doc(login+"/", keys)}, "another issuer"},
		{"no issuer", login, pages{login + oidc: `{"jwks_uri":"` + keys + `"}`}, "another issuer"},
		{"issuer twice", login, pages{login + oidc: `{"issuer":"` + login + `","issuer":"` + login + `","jwks_uri":"` + keys + `"}`}, "malformed"},
		{"issuer in capitals", login, pages{login + oidc: `{"ISSUER":"` + login + `","jwks_uri":"` + keys + `"}`}, "another issuer"},
		{"no keys", login, pages{login + oidc: `{"issuer":"` + login + `"}`}, "jwks_uri: no url"},
		{"plain keys", login, pages{login + oidc: doc(login, "http://keys.example.com/jwks")}, "jwks_uri"},
		{"keys in here", login, pages{login + oidc: doc(login, "http://127.0.0.1/jwks")}, "jwks_uri"},
		{"keys in a file", login, pages{login + oidc: doc(login, "file://localhost/etc/passwd")}, "jwks_uri"},
		{"keys with a password", login, pages{login + oidc: doc(login, "https://a:b@keys.example.com/jwks")}, "jwks_uri"},
		{"keys redirect", login, pages{login + oidc: doc(login, keys), keys: "302"}, "redirects"},
		{"redirect", login, pages{login + oidc: "302", login + oauth: doc(login, keys)}, "redirects"},
		{"out of order", login, pages{login + oidc: "500", login + oauth: doc(login, keys)}, "status 500"},
		{"nothing", login, pages{}, "status 404"},
		{"html", login, pages{login + oidc: "<html>"}, "malformed"},
		{"too long", login, pages{login + oidc: doc(login, keys) + strings.Repeat(" ", 1<<20)}, "more than"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if _, ok := tt.pages[keys]; !ok {
				tt.pages[keys] = jwksOf(t, "k1", &jwtKeys().p256.PublicKey)
			}
			set := &usher.JWKS{Issuer: tt.issuer, Client: &http.Client{Transport: tt.pages}, Log: quiet()}
			t.Cleanup(func() { set.Close() })
			got, err := set.Keys(t.Context(), "k1")
			switch {
			case tt.want == "" && (err != nil || len(got) != 1):
				t.Errorf("got %d keys and %v, want one", len(got), err)
			case tt.want != "" && (!errors.Is(err, usher.ErrUnavailable) || !strings.Contains(err.Error(), tt.want)):
				t.Errorf("got %d keys and %v, want ErrUnavailable and %q", len(got), err, tt.want)
			}
		})
	}
}

func TestJWKSIssuerValidate(t *testing.T) {
	for issuer, want := range map[string]string{
		"https://login.example.com/tenant": "",
		"http://localhost:8080":            "",
		"http://login.example.com":         "plain http",
		"login":                            "malformed",
		"https://login.example.com?a=b":    "query",
		"https://login.example.com?":       "query",
		"https://login.example.com#a":      "fragment",
		"https://a:b@login.example.com":    "password",
	} {
		err := (&usher.JWKS{Issuer: issuer}).Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %q", issuer, err, want)
		}
	}
	if err := (&usher.JWKS{Issuer: "https://a.example", URL: "https://a.example/keys"}).Validate(); err == nil {
		t.Error("both a URL and an issuer: got nil, want an error")
	}
}

// The issuer is asked again with each fetch, so that keys may move, and keys at
// hand stay while it is down or says what it must not.
func TestJWKSDiscoversAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const issuer, at = "https://login.example.com", "https://login.example.com/.well-known/openid-configuration"
		k := jwtKeys()
		site := &movingPages{pages: pages{
			at:                              `{"issuer":"` + issuer + `","jwks_uri":"https://keys.example.com/1"}`,
			"https://keys.example.com/1":    jwksOf(t, "k1", &k.p256.PublicKey),
			"https://keys.example.com/2":    jwksOf(t, "k2", k.ed.Public()),
			"https://keys.evil.example.com": jwksOf(t, "k3", k.ed.Public()),
		}}
		set := &usher.JWKS{Issuer: issuer, Client: &http.Client{Transport: site}, Log: quiet()}
		t.Cleanup(func() { set.Close() })
		start(t, set)
		synctest.Wait()
		wantKeys(t, set, "k1", 1)
		for _, broken := range []string{"500", "302", `{"issuer":"https://evil.example.com","jwks_uri":"https://keys.evil.example.com"}`} {
			site.set(at, broken)
			time.Sleep(16 * time.Minute)
			wantKeys(t, set, "k1", 1)
			wantKeys(t, set, "k3", cannotTell)
		}
		site.set(at, `{"issuer":"`+issuer+`","jwks_uri":"https://keys.example.com/2"}`)
		time.Sleep(16 * time.Minute)
		wantKeys(t, set, "k2", 1)
		wantKeys(t, set, "k1", 0)
	})
}

// movingPages are pages that change.
type movingPages struct {
	mu sync.Mutex
	// Guarded by mu.
	pages pages
}

func (m *movingPages) set(url, text string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pages = maps.Clone(m.pages)
	m.pages[url] = text
}

func (m *movingPages) RoundTrip(r *http.Request) (*http.Response, error) {
	m.mu.Lock()
	now := m.pages
	m.mu.Unlock()
	return now.RoundTrip(r)
}

// Tokens of several issuers are told apart by their "iss", whatever order their
// verifiers have, and none is ever judged by another's keys.
func TestSeveralIssuers(t *testing.T) {
	k := jwtKeys()
	signers := map[string]string{
		"https://a.example": compact(`{"alg":"ES256","kid":"k"}`, claims(map[string]any{"iss": "https://a.example"}), signECDSA(k.p256)),
		"https://b.example": compact(`{"alg":"EdDSA","kid":"k"}`, claims(map[string]any{"iss": "https://b.example"}), signEd25519(k.ed)),
	}
	site := pages{
		"https://a.example/.well-known/openid-configuration": `{"issuer":"https://a.example","jwks_uri":"https://a.example/keys"}`,
		"https://b.example/.well-known/openid-configuration": `{"issuer":"https://b.example","jwks_uri":"https://b.example/keys"}`,
		"https://a.example/keys":                             jwksOf(t, "k", &k.p256.PublicKey),
		"https://b.example/keys":                             jwksOf(t, "k", k.ed.Public()),
	}
	var verifiers []usher.Verifier
	for _, issuer := range slices.Sorted(maps.Keys(signers)) {
		set := &usher.JWKS{Issuer: issuer, Client: &http.Client{Transport: site}, Log: quiet()}
		t.Cleanup(func() { set.Close() })
		verifiers = append(verifiers, &usher.JWT{Issuer: issuer, Audience: jwtAudience, Keys: set})
	}
	for range 2 {
		v := usher.AnyOf(verifiers...)
		for issuer, token := range signers {
			if id := admits(t, v, token); id.Issuer != issuer {
				t.Errorf("got issuer %q, want %q", id.Issuer, issuer)
			}
		}
		// Signed by b, under the name of a.
		refuses(t, v, compact(`{"alg":"EdDSA","kid":"k"}`, claims(map[string]any{"iss": "https://a.example"}), signEd25519(k.ed)), sayNo)
		refuses(t, v, compact(`{"alg":"ES256","kid":"k"}`, claims(map[string]any{"iss": "https://c.example"}), signECDSA(k.p256)), sayUnrecognized)
		slices.Reverse(verifiers)
	}
}
