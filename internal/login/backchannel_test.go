package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

const form = "application/x-www-form-urlencoded"

// tell sends a logout token, as the provider does.
func tell(t testing.TB, n *node, token string) *http.Response {
	t.Helper()
	return newBrowser(t).do(n, "POST", login.BackChannelPath, url.Values{"logout_token": {token}}.Encode(), "Content-Type", form)
}

// logoutClaims are those of a good logout token, with changes.
func logoutClaims(changes map[string]any) map[string]any {
	now := time.Now().Unix()
	return over(map[string]any{
		"iss": issuer, "aud": clientID, "iat": now, "exp": now + 120, "jti": rand.Text(), "sub": "alice", "sid": "s1",
		"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}},
	}, changes)
}

func TestBackChannelLogout(t *testing.T) {
	for name, tt := range map[string]struct {
		changes map[string]any
		typ     string
		other   bool // Whether another session of alice's ends as well.
	}{
		"session":                 {map[string]any{"sub": nil}, "logout+jwt", false},
		"session and subject":     {nil, "logout+jwt", false},
		"subject":                 {map[string]any{"sid": nil}, "logout+jwt", true},
		"without a type":          {nil, "", false},
		"of the common type":      {nil, "JWT", false},
		"with a full type":        {nil, "application/logout+jwt", false},
		"with another event, too": {map[string]any{"events": map[string]any{"http://schemas.openid.net/event/backchannel-logout": map[string]any{}, "x": map[string]any{}}}, "logout+jwt", false},
	} {
		t.Run(name, func(t *testing.T) {
			n, b, c, d := newNode(t, nil), newBrowser(t), newBrowser(t), newBrowser(t)
			first := b.login(n)
			n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": "s2"} })
			second := c.login(n)
			n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": "s3", "sub": "bob"} })
			third := d.login(n)
			res := tell(t, n, n.fake.signed(jose.ES256, tt.typ, n.fake.key, logoutClaims(tt.changes)))
			if res.StatusCode != http.StatusOK {
				t.Fatalf("got status %d, want 200\n%s", res.StatusCode, n.logs)
			}
			if _, err := n.verify(t, first); !errors.Is(err, usher.ErrRevoked) {
				t.Errorf("the session: got %v, want ErrRevoked", err)
			}
			if _, err := n.verify(t, second); errors.Is(err, usher.ErrRevoked) != tt.other {
				t.Errorf("another of the same subject: got %v, want revoked %t", err, tt.other)
			}
			n.mustVerify(t, third)
			n.fake.set(func(f *fake) { f.claims = nil })
			n.mustVerify(t, b.login(n)) // Who logs in again gets in.
		})
	}
}

// A session that the provider did not name is found by whose it is, also where the
// provider names one; those with another name stay, but where somebody has both.
func TestBackChannelLogoutOfNameless(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, b, c := newNode(t, nil), newBrowser(t), newBrowser(t)
		other := joined(t, n.fake, n.store, n.live, nil)
		n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": nil} })
		logOut := func(changes map[string]any) {
			t.Helper()
			time.Sleep(time.Second)
			token := n.fake.signed(jose.ES256, "logout+jwt", n.fake.key, logoutClaims(changes))
			if res := tell(t, other, token); res.StatusCode != http.StatusOK {
				t.Fatalf("got status %d, want 200\n%s", res.StatusCode, n.logs)
			}
		}
		first := b.login(n)
		n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": nil, "sub": "bob"} })
		second := c.login(n)
		logOut(map[string]any{"sub": nil}) // It cannot be told whose.
		n.mustVerify(t, first)
		logOut(nil)
		if _, err := n.verify(t, first); !errors.Is(err, usher.ErrRevoked) {
			t.Errorf("got %v, want ErrRevoked", err)
		}
		n.mustVerify(t, second)
		// It is known for as long as a session may live that began last.
		n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": nil} })
		for range 3 {
			time.Sleep(5 * 24 * time.Hour)
			first = b.login(n)
		}
		for range 13 * 24 {
			time.Sleep(30 * time.Minute)
			n.mustVerify(t, first)
		}
		logOut(nil)
		if _, err := n.verify(t, first); !errors.Is(err, usher.ErrRevoked) {
			t.Errorf("got %v, want ErrRevoked", err)
		}
	})
}

// Tokens that are no logout tokens, or not for us, or were used before.
func TestBackChannelAttacks(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	event := "http://schemas.openid.net/event/backchannel-logout"
	n, b := newNode(t, nil), newBrowser(t)
	cookie := b.login(n)
	sign := func(changes map[string]any) string {
		return n.fake.signed(jose.ES256, "logout+jwt", n.fake.key, logoutClaims(changes))
	}
	typed := func(typ string) string { return n.fake.signed(jose.ES256, typ, n.fake.key, logoutClaims(nil)) }
	parts := strings.Split(sign(nil), ".")
	for name, token := range map[string]string{
		"a nonce":                 sign(map[string]any{"nonce": "n"}),
		"an empty nonce":          sign(map[string]any{"nonce": ""}),
		"no events":               sign(map[string]any{"events": nil}),
		"another event":           sign(map[string]any{"events": map[string]any{"x": map[string]any{}}}),
		"an event that is a text": sign(map[string]any{"events": map[string]any{event: "yes"}}),
		"events that are a list":  sign(map[string]any{"events": []string{event}}),
		"another audience":        sign(map[string]any{"aud": "other"}),
		"another issuer":          sign(map[string]any{"iss": "https://evil.example"}),
		"no iat":                  sign(map[string]any{"iat": nil}),
		"of tomorrow":             sign(map[string]any{"iat": time.Now().Unix() + 86400}),
		"no exp":                  sign(map[string]any{"exp": nil}),
		"expired":                 sign(map[string]any{"exp": 1}),
		"no jti":                  sign(map[string]any{"jti": nil}),
		"a jti that is a number":  sign(map[string]any{"jti": 7}),
		"about nobody":            sign(map[string]any{"sub": nil, "sid": nil}),
		"about an empty name":     sign(map[string]any{"sub": "", "sid": ""}),
		"a sid that is a number":  sign(map[string]any{"sid": 7}),
		"a sid that is too long":  sign(map[string]any{"sid": strings.Repeat("s", 1025)}),
		"an access token":         typed("at+jwt"),
		"a security event":        typed("secevent+jwt"),
		"another key":             n.fake.signed(jose.ES256, "logout+jwt", key, logoutClaims(nil)),
		"the client's secret":     n.fake.signed(jose.HS256, "logout+jwt", []byte(clientSecret+clientSecret), logoutClaims(nil)),
		"alg none":                base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none","typ":"logout+jwt"}`)) + "." + parts[1] + ".",
		"no signature":            parts[0] + "." + parts[1] + ".",
		"not a token":             "logout",
		"empty":                   "",
		"too long":                strings.Repeat("x", 9000),
	} {
		t.Run(name, func(t *testing.T) {
			res := tell(t, n, token)
			if res.StatusCode != http.StatusBadRequest || res.Header.Get("Content-Type") != "application/json" {
				t.Errorf("got status %d %s, want 400 in JSON", res.StatusCode, res.Header.Get("Content-Type"))
			}
			n.mustVerify(t, cookie)
		})
	}
	for name, body := range map[string]string{
		"twice": url.Values{"logout_token": {sign(nil), sign(nil)}}.Encode(), "malformed": "logout_token=%zz",
		"huge": "logout_token=" + sign(nil) + "&x=" + strings.Repeat("x", 16<<10), "nothing": "",
	} {
		if res := newBrowser(t).do(n, "POST", login.BackChannelPath, body, "Content-Type", form); res.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: got status %d, want 400", name, res.StatusCode)
		}
	}
	good := url.Values{"logout_token": {sign(nil)}}.Encode()
	for _, kind := range []string{"", "application/json", "multipart/form-data; boundary=x", "text/plain"} {
		if res := newBrowser(t).do(n, "POST", login.BackChannelPath, good, "Content-Type", kind); res.StatusCode != http.StatusBadRequest {
			t.Errorf("as %q: got status %d, want 400", kind, res.StatusCode)
		}
	}
	if res := newBrowser(t).do(n, "POST", login.BackChannelPath+"?"+good, "", "Content-Type", form); res.StatusCode != http.StatusBadRequest {
		t.Errorf("in the query: got status %d, want 400", res.StatusCode)
	}
	n.mustVerify(t, cookie)
}

// A logout token is good once, on all nodes, as long as it has not expired.
func TestBackChannelReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, b := newNode(t, nil), newBrowser(t)
		other := joined(t, n.fake, n.store, n.live, nil)
		token := n.fake.signed(jose.ES256, "logout+jwt", n.fake.key, logoutClaims(map[string]any{"exp": time.Now().Unix() + 3600}))
		if res := tell(t, n, token); res.StatusCode != http.StatusOK {
			t.Fatalf("got status %d, want 200", res.StatusCode)
		}
		cookie := b.login(n)
		for range 7 {
			for _, node := range []*node{n, other} {
				if res := tell(t, node, token); res.StatusCode != http.StatusBadRequest {
					t.Errorf("got status %d, want 400", res.StatusCode)
				}
			}
			time.Sleep(10 * time.Minute)
		}
		n.mustVerify(t, cookie)
	})
}

// What could not be told to all nodes, or be noted, is 503, so that the provider
// tells again; it may then. What can be done is done.
func TestBackChannelUnavailable(t *testing.T) {
	for name, cut := range map[string]func(n *node, down bool){
		"without a store": func(n *node, down bool) { n.store.setDown(down) },
		"without a bus":   func(n *node, down bool) { n.live.(*severed).down = down },
	} {
		t.Run(name, func(t *testing.T) {
			n, b := newNode(t, nil), newBrowser(t)
			before := n.mustVerify(t, b.login(n))
			token := n.fake.signed(jose.ES256, "logout+jwt", n.fake.key, logoutClaims(nil))
			cut(n, true)
			if res := tell(t, n, token); res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("got status %d, want 503", res.StatusCode)
			}
			if err := n.live.Admits(before); !errors.Is(err, usher.ErrRevoked) {
				t.Errorf("its connections: got %v, want ErrRevoked", err)
			}
			cut(n, false)
			for _, want := range []int{http.StatusOK, http.StatusBadRequest} {
				if res := tell(t, n, token); res.StatusCode != want {
					t.Errorf("told again: got status %d, want %d", res.StatusCode, want)
				}
			}
		})
	}
}
