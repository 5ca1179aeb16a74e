package login_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/usher-ws/usher/internal/login"
)

// notIn fails the test if an answer let somebody in.
func notIn(t *testing.T, n *node, b *browser, res *http.Response) {
	t.Helper()
	if res.StatusCode < 400 || !b.session(n).Empty() || n.store.sessions() != 0 {
		t.Errorf("got status %d, cookies %v and %d sessions, want none\n%s", res.StatusCode, b.cookies, n.store.sessions(), n.logs)
	}
	if res.StatusCode == http.StatusInternalServerError {
		t.Errorf("got status 500")
	}
}

// What somebody may send to the callback who is not who began the login, or not
// with the provider that it began at.
func TestCallbackAttacks(t *testing.T) {
	other := func(n *node) url.Values { // A good answer, to another browser.
		return answerTo(n, newBrowser(n.fake.t).begin(n, ""))
	}
	tests := []struct {
		name   string
		change func(n *node, b *browser, query url.Values)
	}{
		{"no state", func(_ *node, _ *browser, q url.Values) { q.Del("state") }},
		{"empty state", func(_ *node, _ *browser, q url.Values) { q.Set("state", "") }},
		{"wrong state", func(_ *node, _ *browser, q url.Values) { q.Set("state", rand.Text()) }},
		{"state that begins alike", func(_ *node, _ *browser, q url.Values) { q.Set("state", q.Get("state")[:8]+rand.Text()[8:]) }},
		{"state cut off", func(_ *node, _ *browser, q url.Values) { q.Set("state", q.Get("state")[:8]) }},
		{"state of no form", func(_ *node, _ *browser, q url.Values) { q.Set("state", "../../; a=b\r\n") }},
		{"state twice", func(_ *node, _ *browser, q url.Values) { q.Add("state", q.Get("state")) }},
		{"state of another browser", func(n *node, _ *browser, q url.Values) {
			for name, v := range other(n) {
				q[name] = v
			}
		}},
		{"code of another browser", func(n *node, _ *browser, q url.Values) { q.Set("code", other(n).Get("code")) }},
		{"made-up code", func(_ *node, _ *browser, q url.Values) { q.Set("code", "made-up") }},
		{"no code", func(_ *node, _ *browser, q url.Values) { q.Del("code") }},
		{"code twice", func(_ *node, _ *browser, q url.Values) { q.Add("code", q.Get("code")) }},
		{"another issuer", func(_ *node, _ *browser, q url.Values) { q.Set("iss", "https://evil.example") }},
		{"no issuer", func(_ *node, _ *browser, q url.Values) { q.Del("iss") }},
		{"issuer twice", func(_ *node, _ *browser, q url.Values) { q.Add("iss", "https://evil.example") }},
		{"a token in the query", func(_ *node, _ *browser, q url.Values) {
			q.Del("code")
			q.Set("id_token", "x")
			q.Set("access_token", "x")
		}},
		{"an error beside the code", func(_ *node, _ *browser, q url.Values) { q.Set("error", "access_denied") }},
		{"no cookie", func(_ *node, b *browser, _ url.Values) { clear(b.cookies) }},
		{"cookie changed", func(_ *node, b *browser, _ url.Values) {
			for name, v := range b.cookies {
				b.cookies[name] = "A" + v[1:]
			}
		}},
		{"cookie of another login", func(n *node, b *browser, _ url.Values) {
			c := newBrowser(n.fake.t)
			c.begin(n, "")
			for name := range b.cookies {
				for _, v := range c.cookies {
					b.cookies[name] = v
				}
			}
		}},
		{"cookie sealed by another site", func(n *node, b *browser, _ url.Values) {
			sealed := base64.RawURLEncoding.EncodeToString([]byte(`{"state":"x","nonce":"y"}`))
			for name := range b.cookies {
				b.cookies[name] = sealed
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, b := newNode(t, nil), newBrowser(t)
			query := answerTo(n, b.begin(n, ""))
			tt.change(n, b, query)
			notIn(t, n, b, b.callback(n, query))
		})
	}
}

// An answer counts once, in time, and for who asked.
func TestCallbackOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, b := newNode(t, nil), newBrowser(t)
		query := answerTo(n, b.begin(n, ""))
		var kept [2]string
		for name, v := range b.cookies {
			kept = [2]string{name, v}
		}
		arrived(t, n, b.callback(n, query))
		again := newBrowser(t)
		if res := again.callback(n, query); res.StatusCode != http.StatusBadRequest {
			t.Errorf("without the cookie: got status %d, want 400", res.StatusCode)
		}
		again.cookies[kept[0]] = kept[1] // A thief has both.
		if res := again.callback(n, query); res.StatusCode != http.StatusForbidden || !again.session(n).Empty() {
			t.Errorf("a code that was used: got status %d, want 403", res.StatusCode)
		}
		late := newBrowser(t)
		query = answerTo(n, late.begin(n, ""))
		time.Sleep(10*time.Minute + time.Second)
		if res := late.callback(n, query); res.StatusCode != http.StatusBadRequest || !late.session(n).Empty() {
			t.Errorf("too late: got status %d, want 400", res.StatusCode)
		}
	})
}

// Where the provider does not name itself in its answers, one that is named must
// be it all the same.
func TestCallbackIssuerOptional(t *testing.T) {
	n := newNode(t, nil)
	n.fake.set(func(f *fake) { delete(f.config, "authorization_response_iss_parameter_supported") })
	b := newBrowser(t)
	query := answerTo(n, b.begin(n, ""))
	query.Set("iss", "https://evil.example")
	notIn(t, n, b, b.callback(n, query))
	query = answerTo(n, b.begin(n, ""))
	query.Del("iss")
	arrived(t, n, b.callback(n, query))
}

// What the provider answers instead of a code.
func TestCallbackErrors(t *testing.T) {
	for code, want := range map[string]int{
		"access_denied": 403, "login_required": 403, "<script>alert(1)</script>": 403, "server_error": 503, "temporarily_unavailable": 503,
	} {
		n, b := newNode(t, nil), newBrowser(t)
		query := answerTo(n, b.begin(n, ""))
		query.Del("code")
		query.Set("error", code)
		query.Set("error_description", "said by a stranger")
		res := b.callback(n, query)
		notIn(t, n, b, res)
		var problem struct{ Detail string }
		if err := json.NewDecoder(res.Body).Decode(&problem); err != nil || res.StatusCode != want || problem.Detail == "" ||
			strings.Contains(problem.Detail, "script") || strings.Contains(problem.Detail, "stranger") {
			t.Errorf("%s: got %d %v, want %d", code, res.StatusCode, problem, want)
		}
	}
	// And without having been asked.
	n, b := newNode(t, nil), newBrowser(t)
	if res := b.do(n, "GET", login.CallbackPath+"?error=access_denied&state=AAAAAAAAAAAA", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("got status %d, want 400", res.StatusCode)
	}
}

// ID tokens that are not about who has logged in here, now.
func TestIDTokenAttacks(t *testing.T) {
	with := func(changes map[string]any) func(*fake) {
		return func(f *fake) { f.claims = changes }
	}
	none := func(f *fake) func(map[string]any) string {
		return func(claims map[string]any) string {
			payload, err := json.Marshal(claims)
			if err != nil {
				f.t.Fatal(err)
			}
			return base64.RawURLEncoding.EncodeToString([]byte(`{"alg":"none"}`)) + "." + base64.RawURLEncoding.EncodeToString(payload) + "."
		}
	}
	tests := []struct {
		name   string
		change func(*fake)
	}{
		{"another nonce", with(map[string]any{"nonce": "another"})},
		{"no nonce", with(map[string]any{"nonce": nil})},
		{"empty nonce", with(map[string]any{"nonce": ""})},
		{"another issuer", with(map[string]any{"iss": "https://evil.example"})},
		{"another audience", with(map[string]any{"aud": "other"})},
		{"no audience", with(map[string]any{"aud": nil})},
		{"several audiences", with(map[string]any{"aud": []string{clientID, "other"}})},
		{"for another client", with(map[string]any{"azp": "other"})},
		{"azp is a list", with(map[string]any{"azp": []string{clientID}})},
		{"no subject", with(map[string]any{"sub": nil})},
		{"subject too long", with(map[string]any{"sub": strings.Repeat("a", 1025)})},
		{"session too long", with(map[string]any{"sid": strings.Repeat("a", 1025)})},
		{"expired", with(map[string]any{"exp": 1})},
		{"no expiry", with(map[string]any{"exp": nil})},
		{"issued tomorrow", with(map[string]any{"iat": time.Now().Unix() + 86400})},
		{"of another access token", with(map[string]any{"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"})},
		{"alg none", func(f *fake) { f.sign = none(f) }},
		{"signed with the client's secret", func(f *fake) {
			f.sign = func(c map[string]any) string {
				return f.signed(jose.HS256, "JWT", []byte(clientSecret+clientSecret), c)
			}
		}},
		{"signed with another key", func(f *fake) {
			key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
			if err != nil {
				f.t.Fatal(err)
			}
			f.sign = func(c map[string]any) string { return f.signed(jose.ES256, "JWT", key, c) }
		}},
		{"an access token", func(f *fake) {
			f.sign = func(c map[string]any) string { return f.signed(jose.ES256, "at+jwt", f.key, c) }
		}},
		{"a logout token", func(f *fake) {
			f.sign = func(c map[string]any) string { return f.signed(jose.ES256, "logout+jwt", f.key, c) }
		}},
		{"no id token", func(f *fake) { f.answer = func(_ url.Values, a map[string]any) { delete(a, "id_token") } }},
		{"an id token that is a number", func(f *fake) { f.answer = func(_ url.Values, a map[string]any) { a["id_token"] = 7 } }},
		{"no access token", func(f *fake) { f.answer = func(_ url.Values, a map[string]any) { delete(a, "access_token") } }},
		{"an id token that is too long", with(map[string]any{"filler": strings.Repeat("x", 8192)})},
		{"a refresh token that is too long", func(f *fake) {
			f.answer = func(_ url.Values, a map[string]any) { a["refresh_token"] = strings.Repeat("x", 8193) }
		}},
		{"out of order", func(f *fake) { f.status, f.failure = 500, "server_error" }},
		{"redirect", func(f *fake) { f.status = http.StatusTemporaryRedirect }},
		{"client refused", func(f *fake) { f.status, f.failure = 401, "invalid_client" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n, b := newNode(t, nil), newBrowser(t)
			n.fake.set(tt.change)
			notIn(t, n, b, b.callback(n, answerTo(n, b.begin(n, ""))))
		})
	}
	n, b := newNode(t, nil), newBrowser(t)
	n.fake.set(with(map[string]any{"aud": []string{clientID, "other"}, "azp": clientID, "sid": nil}))
	if id := n.mustVerify(t, b.login(n)); id.Session == "" {
		t.Error("got no name for a session that the provider does not name")
	}
}
