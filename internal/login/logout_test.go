package login_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

// A logout ends the session and its connections here, and goes on at the
// provider.
func TestLogout(t *testing.T) {
	n, b := newNode(t, func(o *login.Options) { o.After = "/bye" }), newBrowser(t)
	cookie := b.login(n)
	before := n.mustVerify(t, cookie)
	res := b.do(n, "POST", login.LogoutPath, "", "Origin", site, "Sec-Fetch-Site", "same-origin")
	u, err := url.Parse(res.Header.Get("Location"))
	if err != nil || res.StatusCode != http.StatusSeeOther {
		t.Fatalf("got status %d to %v", res.StatusCode, err)
	}
	query := u.Query()
	if hint := query.Get("id_token_hint"); strings.Count(hint, ".") != 2 {
		t.Errorf("got id_token_hint %q, want the ID token", hint)
	}
	query.Del("id_token_hint")
	want := url.Values{"ui": {"en"}, "client_id": {clientID}, "post_logout_redirect_uri": {site + "/bye"}}
	if diff := cmp.Diff(want, query); diff != "" || !strings.HasPrefix(u.String(), issuer+"/logout?") {
		t.Errorf("%s (-want +got):\n%s", u, diff)
	}
	if !b.session(n).Empty() || n.store.sessions() != 0 {
		t.Errorf("got cookies %v and %d sessions, want none", b.cookies, n.store.sessions())
	}
	if _, err := n.verify(t, cookie); err == nil {
		t.Error("the session is good still")
	}
	if err := n.live.Admits(before); !errors.Is(err, usher.ErrRevoked) {
		t.Errorf("its connections: got %v, want ErrRevoked", err)
	}
	// Once more, and with a cookie that is nothing: nothing is left to do.
	b.cookies[n.Cookie()] = strings.Repeat("A", 26)
	for range 2 {
		res = b.do(n, "POST", login.LogoutPath, "", "Origin", site)
		if res.StatusCode != http.StatusSeeOther || res.Header.Get("Location") != "/bye" || !b.session(n).Empty() {
			t.Errorf("got status %d to %q", res.StatusCode, res.Header.Get("Location"))
		}
	}
}

// Without such an endpoint, or with an ID token that is too long for a URL.
func TestLogoutLimits(t *testing.T) {
	n, b := newNode(t, nil), newBrowser(t)
	n.fake.set(func(f *fake) { delete(f.config, "end_session_endpoint") })
	b.login(n)
	if got := b.do(n, "POST", login.LogoutPath, "", "Origin", site).Header.Get("Location"); got != "/" {
		t.Errorf("got %q, want /", got)
	}
	n = newNode(t, nil)
	n.fake.set(func(f *fake) { f.claims = map[string]any{"filler": strings.Repeat("x", 4096)} })
	b.login(n)
	if got := b.do(n, "POST", login.LogoutPath, "", "Origin", site).Header.Get("Location"); got == "/" || strings.Contains(got, "hint") {
		t.Errorf("got %q, want the provider without a hint", got)
	}
}

// No other site logs anybody out.
func TestLogoutCSRF(t *testing.T) {
	n, b := newNode(t, nil), newBrowser(t)
	cookie := b.login(n)
	for name, headers := range map[string][]string{
		"another site":         {"Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site"},
		"a sibling":            {"Origin", "https://other.example.com", "Sec-Fetch-Site", "same-site"},
		"another port":         {"Origin", site + ":8443"},
		"another scheme":       {"Origin", "http://app.example.com"},
		"nobody":               {},
		"null":                 {"Origin", "null"},
		"empty":                {"Origin", ""},
		"two":                  {"Origin", site, "Origin", "https://evil.example"},
		"a list":               {"Origin", site + ",https://evil.example"},
		"begins alike":         {"Origin", site + ".evil.example"},
		"said to be cross":     {"Origin", site, "Sec-Fetch-Site", "cross-site"},
		"said to be typed in":  {"Origin", site, "Sec-Fetch-Site", "none"},
		"a referrer is no one": {"Referer", site + "/"},
	} {
		res := b.do(n, "POST", login.LogoutPath, "", headers...)
		if res.StatusCode != http.StatusForbidden || b.session(n).Empty() {
			t.Errorf("%s: got status %d, want 403", name, res.StatusCode)
		}
	}
	n.mustVerify(t, cookie)
}
