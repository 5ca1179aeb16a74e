package server_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
)

// No secret of a client, and no token, good or bad, that is sent to any endpoint of
// the issuer is in what the gateway logs, shows to its operator or tells anybody
// but as the answer that gives it out.
func TestIssuerCanary(t *testing.T) {
	g, b := issuingGateway(t)
	backend := makeClient(t, g, backendKey)
	id, secret, _ := strings.Cut(backend, ":")
	ann := exchange(t, g, backend, "ann")
	next := ask(t, g, "", 200, "grant_type", "refresh_token", "refresh_token", ann.Refresh, "client_id", id)
	mustDial(t, "ws://"+g.public+"/chat", ann.header()).Close()
	forged := ann.Access[:len(ann.Access)-24] + strings.Repeat("cAnArY", 4)
	secrets := []string{secret, ann.Access, ann.Refresh, next.Access, next.Refresh, forged, "cAnArY-opaque-and-wrong-0001", "usher_" + id + "_" + strings.Repeat("CANARY", 4) + "AA"}
	var answers strings.Builder
	visit := func(path string, h http.Header, params ...string) {
		t.Helper()
		got := form(t, g, path, "", h, params...)
		answers.WriteString(got.text)
		for name, values := range got.header {
			answers.WriteString(name + ": " + strings.Join(values, ", ") + "\n")
		}
	}
	for _, s := range secrets {
		for _, path := range []string{"/oauth/token", "/oauth/revoke", "/oauth/introspect", "/oauth/else", "/.well-known/oauth-authorization-server", "/.well-known/jwks.json"} {
			basic := http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("nobody:"+s))}}
			for _, h := range []http.Header{nil, basic, {"Authorization": {"Bearer " + s}}, {"Authorization": {s}}, {"Origin": {page}}, {"Origin": {"https://evil.example"}}} {
				visit(path+"?access_token="+s, h)
			}
			visit(path, nil, "client_id", s, "client_secret", s, "grant_type", s)
			visit(path, nil, "client_id", "nobody", "client_secret", s, "grant_type", "client_credentials")
			visit(path, nil, "grant_type", "refresh_token", "refresh_token", s+"x", "client_id", id)
			visit(path, nil, "grant_type", "refresh_token", "refresh_token", "x"+s, "client_id", "other")
			visit(path, basic, "grant_type", exchanging, "subject_token", s, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt")
			visit(path, nil, "token", s+"x", "token_type_hint", s)
			visit(path, nil, s, s)
		}
	}
	// Given in the place of another one, by who may ask.
	for _, s := range secrets {
		for _, params := range [][]string{
			{"grant_type", exchanging, "subject_token", s, "subject_token_type", "urn:ietf:params:oauth:token-type:jwt"},
			{"grant_type", exchanging, "subject_token", "ann", "subject_token_type", s},
			{"grant_type", "client_credentials", "scope", s},
			{"grant_type", "client_credentials", "audience", s},
			{"grant_type", "client_credentials", "capability", `{"` + s + `":["fly"]}`},
			{"grant_type", "client_credentials", "expires_in", s},
		} {
			got := form(t, g, "/oauth/token", backend, nil, params...)
			if got.status == 200 {
				t.Fatalf("got a token for %v", params[2:])
			}
			answers.WriteString(got.text)
		}
	}
	shown := ""
	for _, path := range []string{"/metrics", "/readyz", "/usher/v1/status", "/usher/v1/keys", "/usher/v1/signing-keys", "/usher/v1/connections"} {
		_, body := do(t, http.MethodGet, "http://"+g.admin+path, nil, "")
		shown += body
	}
	g.stop()
	for where, text := range map[string]string{
		"the log": g.logs.String(), "an answer": answers.String(), "what the operator sees": shown, "the backend": b.got.String(),
	} {
		for _, s := range secrets {
			for _, form := range formsOf(s) {
				if i := strings.Index(text, form); i >= 0 {
					t.Fatalf("%s holds a credential, as %q: %q", where, form, text[max(0, i-300):min(len(text), i+100)])
				}
			}
		}
	}
	for _, alive := range []struct{ name, text, part string }{
		{"log", g.logs.String(), "token request refused"},
		{"log", g.logs.String(), "access token issued"},
		{"answers", answers.String(), "invalid_client"},
		{"answers", answers.String(), "invalid_grant"},
		{"answers", answers.String(), "invalid_scope"},
		{"answers", answers.String(), "unsupported_grant_type"},
		{"operator's view", shown, "usher_token_requests_total"},
		{"operator's view", shown, `"state": "signing"`},
		{"backend", b.got.String(), "X-User: ann"},
	} {
		if !strings.Contains(alive.text, alive.part) {
			t.Errorf("the %s of %d bytes has no %q: the canary proves nothing", alive.name, len(alive.text), alive.part)
		}
	}
}
