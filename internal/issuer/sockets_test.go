package issuer_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// chat is a server whose door takes the site's access tokens and requires the
// scope read. It sends each message back with who has sent it, and the scope.
func (s *site) chat() string {
	guard := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(s.issuer.Tokens(audience))}, Route: "/chat",
		Sessions: &s.live.Sessions, Require: usher.Requirement{Scope: []string{"read"}}, Log: s.options.Log,
	}
	srv := httptest.NewServer(guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		defer c.CloseNow()
		for {
			kind, _, err := c.Read(r.Context())
			if err != nil {
				return
			}
			id, err := usher.FromContext(r.Context())
			if err != nil || c.Write(r.Context(), kind, []byte(id.Subject+" "+id.Claims.String("scope"))) != nil {
				return
			}
		}
	})))
	s.t.Cleanup(srv.Close)
	return "ws" + strings.TrimPrefix(srv.URL, "http")
}

func dial(t *testing.T, target, token string) *websocket.Conn {
	t.Helper()
	c, r, err := websocket.Dial(t.Context(), target, &websocket.DialOptions{HTTPHeader: http.Header{"Authorization": {"Bearer " + token}}})
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	if r.Body != nil {
		r.Body.Close()
	}
	t.Cleanup(func() { c.CloseNow() })
	return c
}

// says asks the chat who is there.
func says(t *testing.T, c *websocket.Conn, want string) {
	t.Helper()
	if err := c.Write(t.Context(), websocket.MessageText, []byte("?")); err != nil {
		t.Fatal(err)
	}
	if _, got, err := c.Read(t.Context()); err != nil || string(got) != want {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
}

// ends waits for the end of a connection.
func ends(t *testing.T, c *websocket.Conn, code int, word string) {
	t.Helper()
	_, _, err := c.Read(t.Context())
	closed, ok := errors.AsType[websocket.CloseError](err)
	if !ok || int(closed.Code) != code || !strings.HasPrefix(closed.Reason, word+" ") {
		t.Errorf("got %v, want %d %s", err, code, word)
	}
}

// A refresh gives live connections what the new token says, at once: a longer
// life, and fewer permissions. Where those are too few for the route, they end.
func TestRefreshRenewsSockets(t *testing.T) {
	s := newSite(t)
	user := s.user("alice", "session", "s1", "scope", "read write", "expires_in", "3")
	c := dial(t, s.chat(), user.get("access_token"))
	says(t, c, "alice read write")
	s.clients.set("app", func(c *issuer.Client) { c.Permissions = permissions(t, "read", "") })
	token := good(t, "refresh", s.refresh(user.get("refresh_token")))
	says(t, c, "alice read")
	s.clients.set("app", func(c *issuer.Client) { c.Permissions = permissions(t, "write", "") })
	good(t, "refresh with less", s.refresh(token))
	ends(t, c, usher.CloseForbidden, "forbidden")
}

// The use of a stolen refresh token closes the sockets of its session, and of no
// other.
func TestReuseClosesSockets(t *testing.T) {
	s := newSite(t, func(o *issuer.Options) { o.Grace = time.Millisecond })
	target := s.chat()
	alice, bob := s.user("alice", "scope", "read"), s.user("bob", "scope", "read")
	victim, other := dial(t, target, alice.get("access_token")), dial(t, target, bob.get("access_token"))
	good(t, "the owner's use", s.refresh(alice.get("refresh_token")))
	until := time.Now().Add(10 * time.Second)
	for s.refresh(alice.get("refresh_token")).status == http.StatusOK { // Until the grace is over.
		if time.Now().After(until) {
			t.Fatal("the grace does not end")
		}
	}
	ends(t, victim, usher.CloseUnauthenticated, "revoked")
	says(t, other, "bob read")
	for _, token := range []string{alice.get("access_token")} {
		if s.active(token) {
			t.Error("an access token of the family is still active")
		}
	}
}

// A logout at the provider ends what its tokens were exchanged for.
func TestProviderRevokesExchanged(t *testing.T) {
	s := exchanging(t)
	a := s.as(issuer.TokenPath, "app", "grant_type", exchange, "subject_token", "id-token", "subject_token_type", issuer.TypeIDToken, "scope", "read")
	c := dial(t, s.chat(), a.get("access_token"))
	says(t, c, "alice read")
	r := usher.Revocation{Session: "login-1", Issuer: "https://login.example", IssuedBefore: time.Now().Add(time.Second)}
	if n, err := s.live.Sessions.Revoke(t.Context(), r); n != 1 || err != nil {
		t.Errorf("got %d connections, %v, want 1", n, err)
	}
	ends(t, c, usher.CloseUnauthenticated, "revoked")
	if s.active(a.get("access_token")) {
		t.Error("the exchanged token is still active")
	}
}

// So does a page that logs out.
func TestRevokeClosesSockets(t *testing.T) {
	s := newSite(t)
	user := s.user("alice", "scope", "read")
	c := dial(t, s.chat(), user.get("access_token"))
	s.as(issuer.RevokePath, "", "token", user.get("refresh_token"))
	ends(t, c, usher.CloseUnauthenticated, "revoked")
}
