package issuer_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// signed signs claims as the issuer would, with its own key, as another kind.
func (s *site) signed(typ string, claims map[string]any) string {
	s.t.Helper()
	key := s.signing.keys[0]
	options := &jose.SignerOptions{}
	if typ != "" {
		options = options.WithType(jose.ContentType(typ))
	}
	signer, err := jose.NewSigner(jose.SigningKey{
		Algorithm: jose.SignatureAlgorithm(key.Algorithm), Key: jose.JSONWebKey{Key: key.Private, KeyID: key.ID},
	}, options)
	if err != nil {
		s.t.Fatal(err)
	}
	payload, err := json.Marshal(claims)
	if err != nil {
		s.t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		s.t.Fatal(err)
	}
	return text
}

// Each kind of credential, at each place that takes one: it is refused everywhere
// but at home, even where it was signed with the right key.
func TestConfusionOfKinds(t *testing.T) {
	s := exchanging(t)
	s.clients.set("app", func(c *issuer.Client) { c.Audiences = []string{audience, "https://api.example.com"} })
	tickets := new(usher.Tickets)
	guard := &usher.Guard{
		Carriers: []usher.Carrier{usher.Ticket("ticket", tickets), usher.Query("token", s.issuer.Tokens(audience)), usher.Bearer(s.issuer.Tokens(audience))},
		Route:    "/chat", Log: s.options.Log, Sessions: &s.live.Sessions,
	}
	door := guard.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	enters := func(query, bearer string) bool {
		r := httptest.NewRequest(http.MethodGet, "http://example.com/chat?"+query, nil)
		if bearer != "" {
			r.Header.Set("Authorization", "Bearer "+bearer)
		}
		w := httptest.NewRecorder()
		door.ServeHTTP(w, r)
		return w.Code == http.StatusOK
	}
	takes := map[string]func(text string) bool{
		"bearer": func(text string) bool { return enters("", text) },
		"query":  func(text string) bool { return enters(url.Values{"token": {text}}.Encode(), "") },
		"ticket": func(text string) bool { return enters(url.Values{"ticket": {text}}.Encode(), "") },
		"refresh": func(text string) bool {
			return s.refresh(text).status == http.StatusOK
		},
		"introspection": s.active,
		"exchange as access token": func(text string) bool {
			return s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", text, "subject_token_type", issuer.TypeAccessToken).status == http.StatusOK
		},
		"exchange as ID token": func(text string) bool {
			return s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", text, "subject_token_type", issuer.TypeIDToken).status == http.StatusOK
		},
		"client secret": func(text string) bool {
			r := newRequest(issuer.TokenPath, formOf([]string{"grant_type", forClient}))
			r.SetBasicAuth("app", url.QueryEscape(text))
			return ask(t, s.issuer, issuer.TokenPath, r).status == http.StatusOK
		},
	}
	now := time.Now()
	claims := func(change ...any) map[string]any {
		c := map[string]any{
			"iss": name, "sub": "alice", "aud": audience, "client_id": "app", "jti": "j1", "sid": "s1", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		}
		c = maps.Clone(c)
		for n := 0; n+1 < len(change); n += 2 {
			c[change[n].(string)] = change[n+1]
		}
		return c
	}
	user := s.user("alice")
	ticket, _, err := tickets.Make(s.must(user.get("access_token")), "", "/chat")
	if err != nil {
		t.Fatal(err)
	}
	stranger := newSite(t)
	tests := []struct {
		name, text string
		home       []string
	}{
		{"access token", user.get("access_token"), []string{"bearer", "query", "introspection"}},
		{"access token with the long type", s.signed("application/at+jwt", claims()), []string{"bearer", "query", "introspection"}},
		{"refresh token", user.get("refresh_token"), []string{"refresh"}},
		{"ticket", ticket.Reveal(), []string{"ticket"}},
		{"client's secret", secretOf("app"), []string{"client secret"}},
		{"access token of another issuer", "access-token", []string{"exchange as access token"}},
		{"ID token of another issuer", "id-token", []string{"exchange as ID token"}},
		// For whom it is, introspection may tell this client.
		{"access token for another audience", s.user("alice", "audience", "https://api.example.com").get("access_token"), []string{"introspection"}},
		{"ID token with our key", s.signed("JWT", claims()), nil},
		{"ID token without a type", s.signed("", claims()), nil},
		{"ID token for the client", s.signed("JWT", claims("aud", "app")), nil},
		{"identity JWT", s.signed("usher-identity+jwt", claims()), nil},
		{"logout token", s.signed("logout+jwt", claims()), nil},
		{"access token of another site's key", stranger.user("alice").get("access_token"), nil},
		{"access token in another's name", s.signed("at+jwt", claims("iss", "https://else.example")), nil},
		{"access token without an end", s.signed("at+jwt", claims("exp", nil)), nil},
		{"access token of nobody", s.signed("at+jwt", claims("sub", "")), nil},
		{"access token without an audience", s.signed("at+jwt", claims("aud", nil)), nil},
		{"refresh token of another site", stranger.user("alice").get("refresh_token"), nil},
		{"subject", "alice", nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			at := make(map[string]bool)
			for _, home := range tt.home {
				at[home] = true
			}
			for place, take := range takes {
				if got := take(tt.text); got != at[place] {
					t.Errorf("%s: got taken %t, want %t", place, got, at[place])
				}
			}
		})
	}
}
