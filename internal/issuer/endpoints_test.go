package issuer_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// Each MUST of RFC 7009 that is for the server.
func TestRFC7009(t *testing.T) {
	play(t,
		scenario{"2.1 token is required", func(t *testing.T, s *site) {
			s.post(issuer.RevokePath, "app").wants(t, "no token", http.StatusBadRequest, "invalid_request")
		}},
		scenario{"2.1 credentials are judged first", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			s.post(issuer.RevokePath, "", "token", token, "client_id", "app", "client_secret", "wrong").
				wants(t, "a wrong secret", http.StatusUnauthorized, "invalid_client")
			good(t, "after that", s.refresh(token))
		}},
		scenario{"2.1 not a token of another client", func(t *testing.T, s *site) {
			tokens := s.user("alice")
			for _, kind := range []string{"access_token", "refresh_token"} {
				s.post(issuer.RevokePath, "other", "token", tokens.get(kind)).wants(t, kind, http.StatusBadRequest, "unauthorized_client")
				s.post(issuer.RevokePath, "", "token", tokens.get(kind), "client_id", "other").
					wants(t, kind+" of a page", http.StatusBadRequest, "unauthorized_client")
			}
			good(t, "after that", s.refresh(tokens.get("refresh_token")))
			if _, n := s.live.counts(); n != 0 {
				t.Errorf("got %d revocations, want none", n)
			}
		}},
		scenario{"2.1 a refresh token at once, with all that came of it", func(t *testing.T, s *site) {
			tokens := s.user("alice", "session", "s1")
			time.Sleep(time.Second)
			s.as(issuer.RevokePath, "app", "token", tokens.get("refresh_token"))
			dead(t, "revoked", s.refresh(tokens.get("refresh_token")))
			if s.active(tokens.get("access_token")) {
				t.Error("its access token is still active")
			}
		}},
		scenario{"2.1 an old refresh token revokes its family", func(t *testing.T, s *site) {
			old := s.user("alice").get("refresh_token")
			now := good(t, "use", s.refresh(old))
			s.as(issuer.RevokePath, "", "token", old)
			dead(t, "the newer", s.refresh(now))
		}},
		scenario{"2.1 an access token alone", func(t *testing.T, s *site) {
			one, two := s.user("alice", "session", "s1"), s.user("alice", "session", "s1")
			time.Sleep(time.Second)
			s.as(issuer.RevokePath, "app", "token", one.get("access_token"))
			if s.active(one.get("access_token")) || !s.active(two.get("access_token")) {
				t.Error("want the one inactive, and the other active")
			}
			good(t, "its refresh token", s.refresh(one.get("refresh_token")))
		}},
		scenario{"2.1 an access token twice is told twice, and kept once", func(t *testing.T, s *site) {
			token := s.user("alice").get("access_token")
			for range 2 {
				s.as(issuer.RevokePath, "", "token", token)
				if s.active(token) {
					t.Error("want it inactive, also within the second that it was issued in")
				}
				time.Sleep(time.Minute)
			}
			if got := s.live.revoked; len(got) != 2 || got[0] != got[1] {
				t.Errorf("got %+v, want the same revocation twice", got)
			}
		}},
		scenario{"2.1 the hint may be wrong, or unknown", func(t *testing.T, s *site) {
			for _, hint := range []string{"access_token", "refresh_token", "nonsense"} {
				tokens := s.user("alice")
				s.as(issuer.RevokePath, "app", "token", tokens.get("refresh_token"), "token_type_hint", hint)
				dead(t, hint, s.refresh(tokens.get("refresh_token")))
			}
		}},
		scenario{"2.2 invalid tokens are 200", func(t *testing.T, s *site) {
			tokens := s.user("alice")
			for what, token := range map[string]string{
				"nonsense": "x", "a forged refresh token": tokens.get("refresh_token")[:70] + strings.Repeat("A", 14),
				"no family": "usher_refresh_" + strings.Repeat("A", 70), "a JWT of another": "eyJhbGciOiJub25lIn0.e30.",
				"a changed access token": tokens.get("access_token")[:100] + "A" + tokens.get("access_token")[101:],
			} {
				a := s.as(issuer.RevokePath, "", "token", token)
				if a.text != "" {
					t.Errorf("%s: got %q, want nothing", what, a.text)
				}
			}
			if _, n := s.live.counts(); n != 0 {
				t.Errorf("got %d revocations, want none", n)
			}
			good(t, "after that", s.refresh(tokens.get("refresh_token")))
		}},
		scenario{"2.2 twice is 200, and once", func(t *testing.T, s *site) {
			token := s.user("alice").get("refresh_token")
			s.as(issuer.RevokePath, "app", "token", token)
			s.as(issuer.RevokePath, "app", "token", token)
			if _, n := s.live.counts(); n != 1 {
				t.Errorf("got %d revocations, want one", n)
			}
		}},
		scenario{"2.2 an expired access token is 200", func(t *testing.T, s *site) {
			token := s.user("alice").get("access_token")
			time.Sleep(time.Hour)
			s.as(issuer.RevokePath, "app", "token", token)
		}},
		scenario{"2.2.1 503 where it is not known", func(t *testing.T, s *site) {
			tokens := s.user("alice")
			s.live.breaks(errDown)
			s.post(issuer.RevokePath, "app", "token", tokens.get("access_token")).
				wants(t, "access token", http.StatusServiceUnavailable, "temporarily_unavailable")
			s.post(issuer.RevokePath, "app", "token", tokens.get("refresh_token")).
				wants(t, "refresh token", http.StatusServiceUnavailable, "temporarily_unavailable")
			s.live.breaks(nil)
			s.as(issuer.RevokePath, "app", "token", tokens.get("refresh_token"))
			dead(t, "after that", s.refresh(tokens.get("refresh_token")))
			if _, n := s.live.counts(); n != 3 {
				t.Errorf("got %d revocations, want that of the session again until all nodes know", n)
			}
		}},
	)
}

// Each MUST of RFC 7662 that is for the server.
func TestRFC7662(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t)
		s.clients.set("reader", func(c *issuer.Client) { c.Introspect, c.Audiences = true, []string{"https://api.example.com"} })
		tokens := s.user("alice", "scope", "read", "capability", `{"news":["history"]}`, "session", "s1")
		access := tokens.get("access_token")

		s.post(issuer.IntrospectPath, "app").wants(t, "2.1 token is required", http.StatusBadRequest, "invalid_request")
		s.post(issuer.IntrospectPath, "", "token", access).wants(t, "2.1 authorization is required", http.StatusUnauthorized, "invalid_client")
		s.post(issuer.IntrospectPath, "", "token", access, "client_id", "app").
			wants(t, "2.1 a name is none", http.StatusUnauthorized, "invalid_client")
		s.post(issuer.IntrospectPath, "idle", "token", access).wants(t, "2.1 who may not", http.StatusForbidden, "unauthorized_client")
		get := ask(t, s.issuer, issuer.IntrospectPath, httptest.NewRequest(http.MethodGet, issuer.IntrospectPath+"?token="+access, nil))
		if get.status != http.StatusMethodNotAllowed {
			t.Errorf("2.1 GET: got %d, want 405", get.status)
		}

		a := s.as(issuer.IntrospectPath, "peeker", "token", access, "token_type_hint", "nonsense")
		a.inShape(t, "2.2 active")
		want := []string{"active", "aud", "capability", "client_id", "exp", "iat", "iss", "jti", "scope", "sid", "sub", "token_type"}
		if got := sortedKeys(a.body); fmt.Sprint(got) != fmt.Sprint(want) || a.body["active"] != true {
			t.Errorf("2.2: got %s, want the members %v", a.text, want)
		}
		if a.get("sub") != "alice" || a.get("scope") != "read" || a.get("client_id") != "app" || a.get("sid") != "app.s1" {
			t.Errorf("2.2: got %s", a.text)
		}
		inactive := func(what, client, token string) {
			t.Helper()
			a := s.as(issuer.IntrospectPath, client, "token", token)
			a.inShape(t, what)
			if a.text != `{"active":false}` {
				t.Errorf("%s: got %s, want that it is not active, and nothing else", what, a.text)
			}
		}
		inactive("2.2 unknown", "app", "x")
		inactive("2.2 forged", "app", access[:len(access)-4]+"AAAA")
		inactive("2.2 a resource that may not know", "reader", access)
		inactive("2 a refresh token lets nobody in", "app", tokens.get("refresh_token"))
		time.Sleep(time.Second)
		if _, err := s.live.Sessions.Revoke(t.Context(), usher.Revocation{Session: "app.s1"}); err != nil {
			t.Fatal(err)
		}
		inactive("2.2 revoked", "app", access)
		fresh := s.user("alice").get("access_token")
		time.Sleep(10*time.Minute - 2*time.Second)
		if !s.active(fresh) {
			t.Error("2.2: not active before its end")
		}
		time.Sleep(2 * time.Second)
		inactive("2.2 expired", "app", fresh)
	})
}

// Each MUST of RFC 8414 that is for the server.
func TestRFC8414(t *testing.T) {
	s := newSite(t)
	w := httptest.NewRecorder()
	s.issuer.Endpoints()["/.well-known/oauth-authorization-server"].ServeHTTP(w, httptest.NewRequest(http.MethodGet, issuer.MetadataPath, nil))
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/json" {
		t.Fatalf("3.2: got %d %q", w.Code, w.Header().Get("Content-Type"))
	}
	var got map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	if got["issuer"] != name {
		t.Errorf("3.3: got issuer %v, want %s", got["issuer"], name)
	}
	if _, ok := got["response_types_supported"].([]any); !ok {
		t.Error("2: response_types_supported is required")
	}
	served := s.issuer.Endpoints()
	for _, member := range []string{"token_endpoint", "revocation_endpoint", "introspection_endpoint", "jwks_uri"} {
		path, ok := strings.CutPrefix(fmt.Sprint(got[member]), name)
		if !ok || served[path] == nil {
			t.Errorf("2: got %s %v, which nothing serves", member, got[member])
		}
	}
	if fmt.Sprint(got["grant_types_supported"]) != "["+forClient+" refresh_token "+exchange+"]" {
		t.Errorf("2: got %v", got["grant_types_supported"])
	}
	if fmt.Sprint(got["token_endpoint_auth_methods_supported"]) != "[client_secret_basic client_secret_post none]" ||
		fmt.Sprint(got["introspection_endpoint_auth_methods_supported"]) != "[client_secret_basic client_secret_post]" {
		t.Errorf("2: got %s", w.Body)
	}
	for _, path := range []string{issuer.MetadataPath, issuer.KeysPath} {
		if a := ask(t, s.issuer, path, httptest.NewRequest(http.MethodPost, path, nil)); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s: got %d for a POST, want 405", path, a.status)
		}
		w := httptest.NewRecorder()
		served[path].ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Header().Get("Access-Control-Allow-Origin") != "*" || !strings.HasPrefix(w.Header().Get("Cache-Control"), "public") {
			t.Errorf("%s: got %v, want a document for everybody", path, w.Header())
		}
	}
}

// A page of an allowed origin can use a refresh token and revoke it, and nothing
// else; one of another can do nothing.
func TestPages(t *testing.T) {
	s := newSite(t)
	tokens := s.user("alice")
	fromPage := func(method, path, origin string, pairs ...string) *answer {
		r := newRequest(path, formOf(pairs))
		r.Method = method
		r.Header["Origin"] = strings.Fields(origin)
		return ask(t, s.issuer, path, r)
	}
	use := []string{"grant_type", "refresh_token", "refresh_token", tokens.get("refresh_token")}
	for _, origin := range []string{"https://evil.example", "null", page + ":444", "http://app.example.com", page + " " + page, "https://app.example.com.evil.example"} {
		a := fromPage("POST", issuer.TokenPath, origin, use...)
		a.wants(t, origin, http.StatusForbidden, "invalid_request")
		if a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: may read the answer", origin)
		}
		fromPage("OPTIONS", issuer.TokenPath, origin).wants(t, origin, http.StatusForbidden, "invalid_request")
	}
	for _, origin := range []string{page, name} {
		a := fromPage("POST", issuer.TokenPath, origin, use...)
		good(t, origin, a)
		if a.header.Get("Access-Control-Allow-Origin") != origin || a.header.Get("Access-Control-Allow-Credentials") != "" || a.header.Get("Vary") != "Origin" {
			t.Errorf("%s: got %v, want that it may read the answer", origin, a.header)
		}
	}
	preflight := fromPage("OPTIONS", issuer.TokenPath, page)
	if preflight.status != http.StatusNoContent || preflight.header.Get("Access-Control-Allow-Methods") != "POST" || preflight.header.Get("Access-Control-Allow-Headers") != "content-type" {
		t.Errorf("preflight: got %d %v", preflight.status, preflight.header)
	}
	for _, grant := range []string{forClient, exchange, "x"} {
		a := fromPage("POST", issuer.TokenPath, page, "grant_type", grant, "client_id", "app", "client_secret", secretOf("app"),
			"subject_token", "alice", "subject_token_type", issuer.TypeSubject)
		a.wants(t, grant, http.StatusBadRequest, "unauthorized_client")
		if a.header.Get("Access-Control-Allow-Origin") != page {
			t.Error("the page cannot read why it is refused")
		}
	}
	fromPage("POST", issuer.IntrospectPath, page, "token", tokens.get("access_token"), "client_id", "app", "client_secret", secretOf("app")).
		wants(t, "introspection", http.StatusForbidden, "invalid_request")
	if a := fromPage("POST", issuer.RevokePath, page, "token", tokens.get("refresh_token")); a.status != http.StatusOK {
		t.Errorf("revocation: got %d %s", a.status, a.text)
	}
	dead(t, "revoked by its page", s.refresh(tokens.get("refresh_token")))
}

// What New refuses.
func TestOptions(t *testing.T) {
	for what, change := range map[string]func(*issuer.Options){
		"no name":              func(o *issuer.Options) { o.Name = "" },
		"a name with a path":   func(o *issuer.Options) { o.Name = "https://usher.example.com/x" },
		"a slash at the end":   func(o *issuer.Options) { o.Name = "https://usher.example.com/" },
		"a query":              func(o *issuer.Options) { o.Name = "https://usher.example.com?x" },
		"plain HTTP":           func(o *issuer.Options) { o.Name = "http://usher.example.com" },
		"another scheme":       func(o *issuer.Options) { o.Name = "ftp://localhost" },
		"capitals":             func(o *issuer.Options) { o.Name = "https://Usher.example.com" },
		"a user":               func(o *issuer.Options) { o.Name = "https://u@usher.example.com" },
		"no clients":           func(o *issuer.Options) { o.Clients = nil },
		"no signing":           func(o *issuer.Options) { o.Signing = nil },
		"no grants":            func(o *issuer.Options) { o.Grants = nil },
		"no secret":            func(o *issuer.Options) { o.Secret = nil },
		"no live":              func(o *issuer.Options) { o.Live = nil },
		"a negative time":      func(o *issuer.Options) { o.Grace = -1 },
		"longer than the most": func(o *issuer.Options) { o.AccessToken = 2 * time.Hour },
		"less than a second":   func(o *issuer.Options) { o.AccessToken = time.Millisecond },
		"idle beyond the life": func(o *issuer.Options) { o.RefreshIdle = 91 * 24 * time.Hour },
		"grace beyond idle":    func(o *issuer.Options) { o.RefreshIdle = time.Second },
		"a wildcard origin":    func(o *issuer.Options) { o.Origins = []string{"*"} },
		"a kind of subject": func(o *issuer.Options) {
			o.Subjects = map[string]usher.Verifier{issuer.TypeRefreshToken: usher.AnyOf()}
		},
		"no verifier": func(o *issuer.Options) { o.Subjects = map[string]usher.Verifier{issuer.TypeJWT: nil} },
	} {
		o := newSite(t).options
		change(&o)
		if _, err := issuer.New(o); err == nil {
			t.Errorf("%s: got no error", what)
		}
	}
	for _, good := range []string{"http://localhost:8080", "http://127.0.0.1", "http://[::1]:8080", "https://usher.example.com:8443"} {
		o := newSite(t).options
		o.Name, o.Audience, o.Log, o.Address = good, "", nil, nil
		if _, err := issuer.New(o); err != nil {
			t.Errorf("%s: %v", good, err)
		}
	}
}
