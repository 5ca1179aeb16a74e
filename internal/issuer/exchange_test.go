package issuer_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// knows takes one token, which is of somebody.
func knows(token string, id usher.Identity) usher.Verifier {
	return usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
		switch {
		case c.Kind != usher.KindToken:
			return nil, usher.ErrUnrecognized
		case c.Secret.Equal(usher.NewSecret("down")):
			return nil, errDown
		case !c.Secret.Equal(usher.NewSecret(token)):
			return nil, usher.ErrUnrecognized
		}
		return &id, nil
	})
}

// exchanging is a site that takes the tokens of another issuer.
func exchanging(t *testing.T) *site {
	t.Helper()
	return newSite(t, func(o *issuer.Options) {
		now := time.Now()
		alice := usher.Identity{
			Subject: "alice", Issuer: "https://login.example", Session: "login-1", Issued: now, Expires: now.Add(90 * time.Second),
		}
		undated, client, nobody, brief := alice, alice, alice, alice
		brief.Expires = now.Add(time.Second)
		undated.Expires, client.Subject, nobody.Subject = time.Time{}, "client:app", ""
		o.Subjects = map[string]usher.Verifier{
			issuer.TypeIDToken: knows("id-token", alice),
			issuer.TypeAccessToken: usher.AnyOf(knows("access-token", alice), knows("undated", undated), knows("client", client),
				knows("nobody", nobody), knows("brief", brief)),
		}
	})
}

// Each MUST of RFC 8693 that is for who exchanges.
func TestRFC8693(t *testing.T) {
	const token, kind = "subject_token", "subject_token_type"
	tests := []struct {
		name   string // Begins with the section.
		client string // "app" if empty.
		pairs  []string
		code   string // Of the error; empty: there is none.
		status int    // 400 if it is 0, and there is an error.
	}{
		{name: "2.1 a name", pairs: []string{token, "alice", kind, issuer.TypeSubject}},
		{name: "2.1 a token of another issuer", pairs: []string{token, "access-token", kind, issuer.TypeAccessToken}},
		{name: "2.1 an ID token", pairs: []string{token, "id-token", kind, issuer.TypeIDToken}},
		{name: "2.1 requested: access token", pairs: []string{token, "alice", kind, issuer.TypeSubject, "requested_token_type", issuer.TypeAccessToken}},
		{name: "2.1 requested: JWT", pairs: []string{token, "alice", kind, issuer.TypeSubject, "requested_token_type", issuer.TypeJWT}},
		{name: "2.1 subject_token is required", pairs: []string{kind, issuer.TypeSubject}, code: "invalid_request"},
		{name: "2.1 subject_token_type is required", pairs: []string{token, "alice"}, code: "invalid_request"},
		{name: "2.1 validated as the type that is named", pairs: []string{token, "id-token", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.1 and the other way", pairs: []string{token, "access-token", kind, issuer.TypeIDToken}, code: "invalid_request"},
		{name: "2.1 a type that is not configured", pairs: []string{token, "access-token", kind, issuer.TypeJWT}, code: "invalid_request"},
		{name: "2.1 a type that is not supported", pairs: []string{token, "x", kind, "urn:ietf:params:oauth:token-type:saml2"}, code: "invalid_request"},
		{name: "2.1 a refresh token is no subject", pairs: []string{token, "x", kind, issuer.TypeRefreshToken}, code: "invalid_request"},
		{name: "2.1 requested: what there is not", pairs: []string{token, "alice", kind, issuer.TypeSubject, "requested_token_type", issuer.TypeIDToken}, code: "invalid_request"},
		{name: "2.1 actor_token is not ignored", pairs: []string{token, "alice", kind, issuer.TypeSubject, "actor_token", "bob", "actor_token_type", issuer.TypeSubject}, code: "invalid_request"},
		{name: "2.1 actor_token_type alone", pairs: []string{token, "alice", kind, issuer.TypeSubject, "actor_token_type", issuer.TypeSubject}, code: "invalid_request"},
		{name: "2.1 audience of another", pairs: []string{token, "alice", kind, issuer.TypeSubject, "audience", "billing"}, code: "invalid_target"},
		{name: "2.2.2 an invalid subject_token", pairs: []string{token, "forged", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.2.2 one that cannot be judged", pairs: []string{token, "down", kind, issuer.TypeAccessToken}, code: "temporarily_unavailable", status: 503},
		{name: "2.2.2 one without an end", pairs: []string{token, "undated", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.2.2 one that ends now", pairs: []string{token, "brief", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.2.2 one of a client", pairs: []string{token, "client", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.2.2 one of nobody", pairs: []string{token, "nobody", kind, issuer.TypeAccessToken}, code: "invalid_request"},
		{name: "2.2.2 of another session", pairs: []string{token, "access-token", kind, issuer.TypeAccessToken, "session", "mine"}, code: "invalid_request"},
		{name: "2.2.1 no refresh token that outlives it", pairs: []string{token, "access-token", kind, issuer.TypeAccessToken, "requested_token_type", issuer.TypeRefreshToken}, code: "invalid_request"},
		{name: "scope beyond the key's", pairs: []string{token, "alice", kind, issuer.TypeSubject, "scope", "read admin"}, code: "invalid_scope"},
		{name: "capability beyond the key's", pairs: []string{token, "alice", kind, issuer.TypeSubject, "capability", `{"[meta]log":["*"]}`}, code: "invalid_scope"},
		{name: "a long name", pairs: []string{token, strings.Repeat("a", 513), kind, issuer.TypeSubject}, code: "invalid_request"},
		{name: "a long session", pairs: []string{token, "alice", kind, issuer.TypeSubject, "session", strings.Repeat("a", 513)}, code: "invalid_request"},
		{name: "a client that may not", client: "idle", pairs: []string{token, "alice", kind, issuer.TypeSubject}, code: "unauthorized_client"},
		{name: "one that may introspect only", client: "peeker", pairs: []string{token, "alice", kind, issuer.TypeSubject}, code: "unauthorized_client"},
	}
	s := exchanging(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			client, status := tt.client, tt.status
			if client == "" {
				client = "app"
			}
			a := s.post(issuer.TokenPath, client, append([]string{"grant_type", exchange}, tt.pairs...)...)
			if tt.code != "" {
				if status == 0 {
					status = http.StatusBadRequest
				}
				a.wants(t, tt.name, status, tt.code)
				return
			}
			a.inShape(t, tt.name)
			if a.status != http.StatusOK || a.get("issued_token_type") != issuer.TypeAccessToken || a.get("token_type") != "Bearer" {
				t.Fatalf("2.2.1: got %d %s", a.status, a.text)
			}
			if a.get("refresh_token") != "" {
				t.Error("got a refresh token that nobody asked for")
			}
			if id := s.must(a.get("access_token")); id.Subject != "alice" {
				t.Errorf("got a token of %q", id.Subject)
			}
		})
	}
	s.post(issuer.TokenPath, "", "grant_type", exchange, token, "alice", kind, issuer.TypeSubject).
		wants(t, "nobody", http.StatusUnauthorized, "invalid_client")
}

// What a token for a user says: no more than was asked for.
func TestExchange(t *testing.T) {
	s := exchanging(t)
	plain := s.user("alice")
	id := s.must(plain.get("access_token"))
	p, err := id.Permissions()
	if err != nil || !p.IsZero() || plain.get("scope") != "" {
		t.Errorf("got the permissions %v of %s, want none where none is asked for", p, plain.text)
	}
	if id.Session == "" || id.Session != plain.get("session") || id.Session == s.user("alice").get("session") {
		t.Errorf("got session %q, want one that is new", id.Session)
	}
	if _, ok := id.Claims["idp"]; ok {
		t.Error("got a provider where none was")
	}
	some := s.user("bob", "scope", "write", "capability", `{"chat:bob":["publish"]}`, "session", "s2", "expires_in", "120")
	id = s.must(some.get("access_token"))
	if p, err = id.Permissions(); err != nil || p.Scope() != "write" || p.Capability() != `{"chat:bob":["publish"]}` {
		t.Errorf("got %v, %v, want what was asked for", p, err)
	}
	if id.Session != "app.s2" || some.body["expires_in"] != 120.0 {
		t.Errorf("got %s, want the session and the time that were asked for", some.text)
	}
	if a := s.refresh(some.get("refresh_token")); a.body["expires_in"] != 120.0 || a.get("session") != "app.s2" {
		t.Errorf("got %s, want the same of the next", a.text)
	}
	theirs := s.as(issuer.TokenPath, "other", "grant_type", exchange, "subject_token", "bob", "subject_token_type", issuer.TypeSubject, "session", "s2")
	if got := theirs.get("session"); got != "other.s2" {
		t.Errorf("got the session %q for another client, want one of its own", got)
	}
	foreign := s.as(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "access-token", "subject_token_type", issuer.TypeAccessToken)
	id = s.must(foreign.get("access_token"))
	if id.Claims.String("idp") != "https://login.example" || id.Session != "login-1" || time.Until(id.Expires) > 90*time.Second {
		t.Errorf("got %+v, want the provider's session and no longer than its token", id)
	}
	if _, err := s.live.Sessions.Revoke(t.Context(), usher.Revocation{Subject: "alice", IssuedBefore: time.Now().Add(time.Second)}); err != nil {
		t.Fatal(err)
	}
	s.post(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "access-token", "subject_token_type", issuer.TypeAccessToken).
		wants(t, "revoked", http.StatusBadRequest, "invalid_request")
}

// A token is as old as what it is exchanged for: what revokes that revokes it, also
// where it is heard of later. It is good for all of its life all the same.
func TestExchangeInheritsAge(t *testing.T) {
	for name, tt := range map[string]struct {
		age     time.Duration
		undated bool
		recheck bool
		want    time.Duration
	}{
		"fresh":                    {0, false, false, 0},
		"of the future":            {-20 * time.Second, false, false, 0},
		"old":                      {3 * time.Hour, false, false, 3 * time.Hour},
		"as old as can be":         {24 * time.Hour, false, false, 24*time.Hour - 10*time.Minute},
		"asked about, and ancient": {1000 * time.Hour, false, true, 24*time.Hour - 10*time.Minute},
		"without a time":           {0, true, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				now := time.Now()
				subject := usher.Identity{Subject: "alice", Session: "login-1", Issued: now.Add(-tt.age), Expires: now.Add(time.Hour), Recheck: tt.recheck}
				if tt.undated {
					subject.Issued = time.Time{}
				}
				s := newSite(t, func(o *issuer.Options) {
					o.Subjects = map[string]usher.Verifier{issuer.TypeAccessToken: knows("access-token", subject)}
				})
				a := s.as(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "access-token", "subject_token_type", issuer.TypeAccessToken)
				id := s.must(a.get("access_token"))
				if got := now.Sub(id.Issued); got != tt.want || a.body["expires_in"] != 600.0 {
					t.Errorf("got a token %v old for %v s, want %v and 600 s", got, a.body["expires_in"], tt.want)
				}
				time.Sleep(10*time.Minute - time.Second)
				if err := s.live.Admits(s.must(a.get("access_token"))); err != nil {
					t.Errorf("within its life: got %v", err)
				}
				if tt.age <= 0 {
					return
				}
				// Somebody else's node has revoked it before the exchange.
				if _, err := s.live.Sessions.Revoke(t.Context(), usher.Revocation{Subject: "alice", IssuedBefore: now.Add(-time.Minute)}); err != nil {
					t.Fatal(err)
				}
				if err := s.live.Admits(id); !errors.Is(err, usher.ErrRevoked) {
					t.Errorf("revoked before the exchange: got %v, want ErrRevoked", err)
				}
			})
		})
	}
}

// With a stolen key nobody makes what lives longer than tokens of ours do.
func TestTokensAreBounded(t *testing.T) {
	s := newSite(t)
	now := time.Now().Truncate(time.Second)
	for what, tt := range map[string]struct {
		issued, expires any
		good            bool
	}{
		"as ours":              {now.Unix(), now.Add(time.Hour).Unix(), true},
		"of an old subject":    {now.Add(-23 * time.Hour).Unix(), now.Add(time.Hour).Unix(), true},
		"longer":               {now.Unix(), now.Add(24*time.Hour + 2*time.Second).Unix(), false},
		"until the year 9999":  {now.Unix(), int64(253402300799), false},
		"without iat":          {nil, now.Add(time.Hour).Unix(), false},
		"with iat as a string": {"now", now.Add(time.Hour).Unix(), false},
		"with iat before all":  {-1, now.Add(time.Hour).Unix(), false},
		"with iat after all":   {int64(253402300799), int64(253402300799), false},
	} {
		claims := map[string]any{"iss": name, "sub": "alice", "aud": audience, "client_id": "app", "jti": "j1", "exp": tt.expires}
		if tt.issued != nil {
			claims["iat"] = tt.issued
		}
		text := s.signed("at+jwt", claims)
		if _, err := s.subjectOf(text); (err == nil) != tt.good {
			t.Errorf("%s: got %v, want good: %t", what, err, tt.good)
		}
		if got := s.active(text); got != tt.good {
			t.Errorf("%s: got active: %t, want %t", what, got, tt.good)
		}
	}
}
