package issuer_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher/internal/issuer"
)

// The errors of RFC 6749 §5.2, each in its shape.
func TestRFC6749Errors(t *testing.T) {
	const form = "application/x-www-form-urlencoded"
	basic := func(id, secret string) string {
		return "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))
	}
	app, mine := basic("app", secretOf("app")), "grant_type="+forClient
	tests := []struct {
		name          string
		body          string
		authorization []string
		contentType   string // form if empty.
		status        int
		code          string
	}{
		{name: "no grant_type", body: "", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "empty grant_type", body: "grant_type=", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "grant_type twice", body: mine + "&" + mine, authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "another parameter twice", body: mine + "&x=1&x=2", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "scope twice", body: mine + "&scope=read&scope=write", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "JSON", body: `{"grant_type":"client_credentials"}`, contentType: "application/json", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "multipart", body: mine, contentType: "multipart/form-data; boundary=x", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "malformed body", body: mine + "&x=%zz", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "a semicolon", body: mine + ";x=1", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "not UTF-8", body: mine + "&scope=%ff", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "a line end", body: mine + "&scope=a%0ab", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "too large", body: mine + "&x=" + strings.Repeat("x", 100<<10), authorization: []string{app}, status: 413, code: "invalid_request"},
		{name: "two proofs", body: mine + "&client_id=app&client_secret=" + secretOf("app"), authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "two names", body: mine + "&client_id=other", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "two headers", body: mine, authorization: []string{app, app}, status: 400, code: "invalid_request"},
		{name: "no proof", body: mine, status: 401, code: "invalid_client"},
		{name: "a name only", body: mine + "&client_id=app", status: 401, code: "invalid_client"},
		{name: "a secret only", body: mine + "&client_secret=" + secretOf("app"), status: 401, code: "invalid_client"},
		{name: "an empty secret", body: mine + "&client_id=app&client_secret=", status: 401, code: "invalid_client"},
		{name: "unknown", body: mine, authorization: []string{basic("nobody", "x")}, status: 401, code: "invalid_client"},
		{name: "wrong secret", body: mine, authorization: []string{basic("app", "x")}, status: 401, code: "invalid_client"},
		{name: "wrong secret in the body", body: mine + "&client_id=app&client_secret=x", status: 401, code: "invalid_client"},
		{name: "another client's secret", body: mine, authorization: []string{basic("app", secretOf("other"))}, status: 401, code: "invalid_client"},
		{name: "Bearer", body: mine, authorization: []string{"Bearer x"}, status: 401, code: "invalid_client"},
		{name: "Basic without base64", body: mine, authorization: []string{"Basic ???"}, status: 401, code: "invalid_client"},
		{name: "Basic without a colon", body: mine, authorization: []string{"Basic YXBw"}, status: 401, code: "invalid_client"},
		{name: "Basic without a name", body: mine, authorization: []string{basic("", secretOf("app"))}, status: 401, code: "invalid_client"},
		{name: "Basic with a bad escape", body: mine, authorization: []string{basic("app", "%zz")}, status: 401, code: "invalid_client"},
		{name: "a very long name", body: mine, authorization: []string{basic(strings.Repeat("a", 300), "x")}, status: 401, code: "invalid_client"},
		{name: "an assertion", body: mine + "&client_assertion=x&client_assertion_type=y", status: 401, code: "invalid_client"},
		{name: "no such grant", body: "grant_type=password&username=a&password=b", authorization: []string{app}, status: 400, code: "unsupported_grant_type"},
		{name: "grants have case", body: "grant_type=Client_Credentials", authorization: []string{app}, status: 400, code: "unsupported_grant_type"},
		{name: "may not", body: mine, authorization: []string{basic("idle", secretOf("idle"))}, status: 400, code: "unauthorized_client"},
		{name: "may exchange only", body: mine, authorization: []string{basic("other", secretOf("other"))}, status: 400, code: "unauthorized_client"},
		{name: "scope beyond the key's", body: mine + "&scope=read+admin", authorization: []string{app}, status: 400, code: "invalid_scope"},
		{name: "malformed scope", body: mine + "&scope=read++write", authorization: []string{app}, status: 400, code: "invalid_scope"},
		{name: "capability beyond the key's", body: mine + `&capability={"secret":["publish"]}`, authorization: []string{app}, status: 400, code: "invalid_scope"},
		{name: "malformed capability", body: mine + `&capability={"chat:a":["fly"]}`, authorization: []string{app}, status: 400, code: "invalid_scope"},
		{name: "audience of another", body: mine + "&audience=billing", authorization: []string{app}, status: 400, code: "invalid_target"},
		{name: "resource of another", body: mine + "&resource=https://billing.example.com", authorization: []string{app}, status: 400, code: "invalid_target"},
		{name: "very many audiences", body: mine + strings.Repeat("&audience=chat", 9), authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "too long a life", body: mine + "&expires_in=3601", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "no life", body: mine + "&expires_in=0", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "a life that is no number", body: mine + "&expires_in=-1", authorization: []string{app}, status: 400, code: "invalid_request"},
		{name: "no refresh token", body: "grant_type=refresh_token", status: 400, code: "invalid_request"},
		{name: "a bad refresh token", body: "grant_type=refresh_token&refresh_token=x", status: 400, code: "invalid_grant"},
	}
	s := newSite(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodPost, issuer.TokenPath, strings.NewReader(tt.body))
			r.Header.Set("Content-Type", tt.contentType)
			if tt.contentType == "" {
				r.Header.Set("Content-Type", form)
			}
			r.Header["Authorization"] = tt.authorization
			a := ask(t, s.issuer, issuer.TokenPath, r)
			a.wants(t, tt.name, tt.status, tt.code)
			if a.get("error_description") == "" {
				t.Errorf("got %s, want it to say what is wrong", a.text)
			}
		})
	}
	t.Run("not a POST", func(t *testing.T) {
		for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodHead} {
			a := ask(t, s.issuer, issuer.TokenPath, httptest.NewRequest(method, issuer.TokenPath, nil))
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST, OPTIONS" {
				t.Errorf("%s: got %d, Allow %q, want 405", method, a.status, a.header.Get("Allow"))
			}
		}
	})
	t.Run("in the URL", func(t *testing.T) {
		r := newRequest(issuer.TokenPath+"?"+mine, formOf([]string{"grant_type", forClient}))
		r.SetBasicAuth("app", secretOf("app"))
		ask(t, s.issuer, issuer.TokenPath, r).wants(t, "in the URL", http.StatusBadRequest, "invalid_request")
	})
	for _, canary := range []string{"canary", "??? ", "%zz"} {
		if strings.Contains(s.log.String(), canary) {
			t.Errorf("the log has %q in it", canary)
		}
	}
}

// A client proves itself by Basic, whose halves are encoded, or in the body.
func TestClientAuthentication(t *testing.T) {
	s := newSite(t)
	const id = "a client:+%/ü"
	s.clients.set(id, func(c *issuer.Client) { c.Tokens = true })
	byBasic := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient}))
	byBasic.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secretOf(id)))
	named := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient, "client_id", id}))
	named.Header = byBasic.Header.Clone()
	inBody := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient, "client_id", id, "client_secret", secretOf(id)}))
	lower := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient}))
	lower.Header.Set("Authorization", strings.Replace(byBasic.Header.Get("Authorization"), "Basic", "basic ", 1))
	withCharset := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient}))
	withCharset.Header = byBasic.Header.Clone()
	withCharset.Header.Set("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")
	for what, r := range map[string]*http.Request{
		"Basic": byBasic, "Basic, and named": named, "body": inBody, "scheme in lower case": lower, "charset": withCharset,
	} {
		a := ask(t, s.issuer, issuer.TokenPath, r)
		if a.status != http.StatusOK || s.must(a.get("access_token")).Claims.String("client_id") != id {
			t.Errorf("%s: got %d %s, want a token of the client", what, a.status, a.text)
		}
	}
}

// What the answers to those who may are like (RFC 6749 §4.4.3, §5.1).
func TestClientCredentials(t *testing.T) {
	s := newSite(t)
	a := s.as(issuer.TokenPath, "app", "grant_type", forClient)
	a.inShape(t, "whole")
	if a.get("token_type") != "Bearer" || a.body["expires_in"] != 600.0 || a.get("scope") != "read write" || a.body["refresh_token"] != nil {
		t.Errorf("got %s, want a Bearer token for 10 minutes with the key's scope, and no refresh token", a.text)
	}
	id := s.must(a.get("access_token"))
	if id.Subject != "client:app" || id.Issuer != name || id.Token == "" || time.Until(id.Expires) > 601*time.Second {
		t.Errorf("got %+v", id)
	}
	if same := s.as(issuer.TokenPath, "app", "grant_type", forClient, "scope", "", "expires_in", "", "audience", ""); same.get("scope") != "read write" {
		t.Errorf("got %s, want empty parameters to count as left out", same.text)
	}
	less := s.as(issuer.TokenPath, "app", "grant_type", forClient, "scope", "read", "expires_in", "60", "unknown", "ignored", "empty", "")
	p, err := s.must(less.get("access_token")).Permissions()
	if err != nil || p.Scope() != "read" || p.Capability() != "" || less.body["expires_in"] != 60.0 {
		t.Errorf("got %s, %v, want the scope that was asked for, and nothing that was not", less.text, err)
	}
	narrow := s.as(issuer.TokenPath, "app", "grant_type", forClient, "capability", `{"*":["subscribe"],"chat:a":["*"]}`)
	p, err = s.must(narrow.get("access_token")).Permissions()
	want := `{"chat:*":["subscribe"],"chat:a":["*"],"news":["subscribe"]}`
	text, _ := json.Marshal(narrow.body["capability"])
	if err != nil || p.Capability() != want || string(text) != want || p.Scope() != "" {
		t.Errorf("got %s, %v, want the intersection %s", narrow.text, err, want)
	}
}

// Whom a token is for where nobody says so, and that it is one that is taken.
func TestAudienceAndSize(t *testing.T) {
	s := newSite(t)
	s.clients.set("app", func(c *issuer.Client) { c.Audiences = []string{"https://api.example.com"} })
	if a := s.as(issuer.TokenPath, "app", "grant_type", forClient); a.get("access_token") == "" {
		t.Errorf("got %s, want a token for the only audience", a.text)
	} else if _, err := s.subjectOf(a.get("access_token")); err == nil {
		t.Error("got a token for an audience that the client may not ask for")
	}
	s.clients.set("app", func(c *issuer.Client) { c.Audiences = []string{"a", "b"} })
	s.post(issuer.TokenPath, "app", "grant_type", forClient).wants(t, "one of two", http.StatusBadRequest, "invalid_target")
	var large strings.Builder
	for n := range 180 {
		fmt.Fprintf(&large, `,"a-channel-with-a-long-name-%d":["publish"]`, n)
	}
	s.clients.set("app", func(c *issuer.Client) {
		c.Audiences, c.Permissions = nil, permissions(t, "", "{"+large.String()[1:]+"}")
	})
	s.post(issuer.TokenPath, "app", "grant_type", forClient).wants(t, "too large", http.StatusBadRequest, "invalid_request")
}

// Each MUST of RFC 9068 that is for who issues.
func TestRFC9068(t *testing.T) {
	for _, algorithm := range []string{"EdDSA", "ES256"} {
		t.Run(algorithm, func(t *testing.T) {
			s := newSite(t)
			s.signing.add(t, "key-2", algorithm)
			s.clients.set("app", func(c *issuer.Client) { c.Audiences = []string{audience, "https://api.example.com"} })
			text := s.user("alice", "scope", "read", "audience", audience, "audience", "https://api.example.com").get("access_token")

			w := httptest.NewRecorder()
			s.issuer.Endpoints()[issuer.KeysPath].ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer.KeysPath, nil))
			var set jose.JSONWebKeySet
			if err := json.Unmarshal(w.Body.Bytes(), &set); err != nil || len(set.Keys) != 2 {
				t.Fatalf("got %s, %v, want both keys", w.Body, err)
			}
			jws, err := jose.ParseSignedCompact(text, []jose.SignatureAlgorithm{jose.EdDSA, jose.ES256})
			if err != nil {
				t.Fatal(err)
			}
			header := jws.Signatures[0].Protected
			if header.ExtraHeaders["typ"] != "at+jwt" {
				t.Errorf("2.1: got typ %v, want at+jwt", header.ExtraHeaders["typ"])
			}
			if header.Algorithm != algorithm || header.KeyID != "key-2" {
				t.Errorf("2.1: got %s by %s, want it signed with the first key", header.Algorithm, header.KeyID)
			}
			keys := set.Key(header.KeyID)
			if len(keys) != 1 || !keys[0].IsPublic() || keys[0].Use != "sig" || keys[0].Algorithm != algorithm {
				t.Fatalf("4: got the keys %s, want the public half of the signing key", w.Body)
			}
			payload, err := jws.Verify(keys[0])
			if err != nil {
				t.Fatalf("4: the published key does not verify: %v", err)
			}
			var claims map[string]any
			if err := json.Unmarshal(payload, &claims); err != nil {
				t.Fatal(err)
			}
			want := []string{"aud", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub"}
			if got := sortedKeys(claims); fmt.Sprint(got) != fmt.Sprint(want) {
				t.Errorf("2.2: got the claims %v, want %v", got, want)
			}
			if claims["iss"] != name || claims["sub"] != "alice" || claims["client_id"] != "app" || claims["scope"] != "read" {
				t.Errorf("2.2: got %s", payload)
			}
			if fmt.Sprint(claims["aud"]) != "[chat https://api.example.com]" {
				t.Errorf("3: got aud %v, want what was asked for", claims["aud"])
			}
			if strings.Contains(w.Body.String(), `"d"`) {
				t.Error("the keys that are published have a private half")
			}
		})
	}
	t.Run("5 a client's subject is no user's", func(t *testing.T) {
		s := newSite(t)
		s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "client:app", "subject_token_type", issuer.TypeSubject).
			wants(t, "a user called as a client is", http.StatusBadRequest, "invalid_request")
	})
}

// Without a good key nothing is signed.
func TestSigningKeys(t *testing.T) {
	s := newSite(t)
	good := s.signing.keys
	s.signing.keys = nil
	s.post(issuer.TokenPath, "app", "grant_type", forClient).wants(t, "no key", http.StatusServiceUnavailable, "temporarily_unavailable")
	for what, k := range map[string]issuer.SigningKey{
		"another algorithm": {ID: "k", Algorithm: "ES256", Private: good[0].Private},
		"HS256":             {ID: "k", Algorithm: "HS256", Private: good[0].Private},
		"none":              {ID: "k", Algorithm: "none", Private: good[0].Private},
		"no id":             {Algorithm: "EdDSA", Private: good[0].Private},
	} {
		s.signing.keys = []issuer.SigningKey{k}
		s.post(issuer.TokenPath, "app", "grant_type", forClient).wants(t, what, http.StatusInternalServerError, "server_error")
	}
	s.signing.keys = good
	before := s.as(issuer.TokenPath, "app", "grant_type", forClient).get("access_token")
	s.signing.add(t, "key-2", "ES256")
	after := s.as(issuer.TokenPath, "app", "grant_type", forClient).get("access_token")
	if !s.active(before) || !s.active(after) {
		t.Error("a rotation has ended tokens of the key before")
	}
	s.signing.keys = s.signing.keys[:1]
	if s.active(before) || !s.active(after) {
		t.Error("a key that is gone still verifies, or the other does not")
	}
}

// guesses slow down from the third wrong secret on.
type guesses struct {
	mu    sync.Mutex
	wrong map[string]int
	from  netip.Addr
}

func (g *guesses) Wrong(client string, from netip.Addr) time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.from = from
	if g.wrong[client]++; g.wrong[client] > 2 {
		return 1500 * time.Millisecond
	}
	return 0
}

// Who guesses is slowed down, and the right secret comes through at any time.
func TestGuesses(t *testing.T) {
	g := &guesses{wrong: make(map[string]int)}
	s := newSite(t, func(o *issuer.Options) { o.Guesses = g })
	for n := range 5 {
		for _, path := range []string{issuer.TokenPath, issuer.RevokePath, issuer.IntrospectPath} {
			r := newRequest(path, formOf([]string{"grant_type", forClient, "token", "x"}))
			r.SetBasicAuth("app", "wrong")
			a := ask(t, s.issuer, path, r)
			if g.wrong["app"] <= 2 {
				a.wants(t, path, http.StatusUnauthorized, "invalid_client")
			} else if a.wants(t, path, http.StatusTooManyRequests, "slow_down"); a.header.Get("Retry-After") != "2" {
				t.Errorf("got Retry-After %q, want 2", a.header.Get("Retry-After"))
			}
		}
		if a := s.post(issuer.TokenPath, "app", "grant_type", forClient); a.status != http.StatusOK {
			t.Errorf("round %d: got %d %s for the right secret", n, a.status, a.text)
		}
	}
	if g.wrong["app"] != 15 || g.from != netip.MustParseAddr("192.0.2.1") {
		t.Errorf("got %d wrong ones from %v, want 15", g.wrong["app"], g.from)
	}
	s.clients.down = true
	s.post(issuer.TokenPath, "app", "grant_type", forClient).wants(t, "clients out of reach", http.StatusServiceUnavailable, "temporarily_unavailable")
	if g.wrong["app"] != 15 {
		t.Error("what could not be decided was counted as a wrong secret")
	}
}
