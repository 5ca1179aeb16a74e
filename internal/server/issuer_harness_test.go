package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// issuing is a configuration with tokens of the site's own.
const issuing = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
engine: {memory: true}
log: {level: debug}
drain: 100ms
issuer: {name: "http://localhost:8080", audience: chat, origins: ["https://app.example.com"], subjects: {jwt: [local]}}
verifiers:
  local: {jwt: {issuer: test, audience: chat, hs256_secret_file: secret}}
  own: {issuer: {}}
  other: {issuer: {audience: other}}
`

// issuingGateway is a gateway with an issuer and two routes, of tokens for chat
// and of tokens for other.
func issuingGateway(t testing.TB) (*gateway, *backend) {
	t.Helper()
	b := newBackend(t)
	return start(t, issuing+fmt.Sprintf(`routes:
  - path: /chat
    upstream: %[1]q
    origins: ["https://app.example.com"]
    carriers: [ticket: {}, subprotocol: {verify: [local, own]}, bearer: {verify: [local, own]}]
    identity: {headers: {X-User: sub}, jwt: X-Usher-Identity}
  - {path: /other, upstream: %[1]q, carriers: [bearer: {verify: [other]}]}
`, b.ws())), b
}

// A grant is an answer of the token endpoint.
type grant struct {
	Access  string `json:"access_token"`
	Refresh string `json:"refresh_token"`
	Type    string `json:"token_type"`
	Expires int    `json:"expires_in"`
	Scope   string `json:"scope"`
	Session string `json:"session"`
	Error   string `json:"error"`
}

// header is that of a handshake with the access token.
func (g grant) header() http.Header { return http.Header{"Authorization": {"Bearer " + g.Access}} }

const exchanging = "urn:ietf:params:oauth:grant-type:token-exchange"

// form posts a form to an endpoint of the issuer. By is "id:secret" of a client,
// or nothing.
func form(t testing.TB, g *gateway, path, by string, h http.Header, params ...string) apiAnswer {
	t.Helper()
	all := http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
	for name, values := range h {
		all[name] = values
	}
	v := make(url.Values)
	for i := 0; i < len(params); i += 2 {
		v.Add(params[i], params[i+1])
	}
	if id, secret, ok := strings.Cut(by, ":"); ok {
		v.Set("client_id", id)
		v.Set("client_secret", secret)
	}
	res, text := do(t, http.MethodPost, "http://"+g.public+path, all, v.Encode())
	return apiAnswer{res.StatusCode, res.Header, text}
}

// ask asks the token endpoint.
func ask(t testing.TB, g *gateway, by string, status int, params ...string) (got grant) {
	t.Helper()
	form(t, g, "/oauth/token", by, nil, params...).into(t, status, &got)
	return got
}

// makeClient makes an API key that is a client, and returns "id:secret".
func makeClient(t testing.TB, g *gateway, body string) string {
	t.Helper()
	var k madeKey
	call(t, g.admin, http.MethodPost, "keys", body).into(t, http.StatusCreated, &k)
	return k.ID + ":" + k.Text[strings.LastIndex(k.Text, "_")+1:]
}

// exchange has a token made for a user, with a refresh token.
func exchange(t testing.TB, g *gateway, by, subject string) grant {
	t.Helper()
	got := ask(t, g, by, http.StatusOK, "grant_type", exchanging, "subject_token", subject,
		"subject_token_type", "urn:usher:token-type:subject", "requested_token_type", "urn:ietf:params:oauth:token-type:refresh_token")
	if got.Access == "" || got.Refresh == "" {
		t.Fatalf("got %+v, want both tokens", got)
	}
	return got
}

// keysOf are the ids in a JWK Set.
func keysOf(t testing.TB, addr string) (ids []string) {
	t.Helper()
	_, text := do(t, http.MethodGet, "http://"+addr+"/.well-known/jwks.json", nil, "")
	var set struct {
		Keys []struct{ Kid string }
	}
	if err := json.Unmarshal([]byte(text), &set); err != nil {
		t.Fatalf("got %s: %v", text, err)
	}
	for _, k := range set.Keys {
		ids = append(ids, k.Kid)
	}
	return ids
}
