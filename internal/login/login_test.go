package login_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

// What a login asks the provider for, and what it gives the browser.
func TestLogin(t *testing.T) {
	n, b := newNode(t, func(o *login.Options) { o.Scopes = []string{"email", "offline_access"} }), newBrowser(t)
	location := b.begin(n, "?return="+url.QueryEscape("/rooms/7?a=b&c=d#c"))
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	got := u.Query()
	for _, random := range []string{"state", "nonce", "code_challenge"} {
		if len(got.Get(random)) < 26 {
			t.Errorf("got %s %q, want 128 bits", random, got.Get(random))
		}
		got.Del(random)
	}
	want := url.Values{
		"response_type": {"code"}, "client_id": {clientID}, "redirect_uri": {site + "/auth/callback"},
		"scope": {"openid email offline_access"}, "code_challenge_method": {"S256"}, "prompt": {"consent"},
	}
	if diff := cmp.Diff(want, got); diff != "" || !strings.HasPrefix(location, issuer+"/auth?") {
		t.Errorf("%s (-want +got):\n%s", location, diff)
	}
	wantCookie(t, b.set, "__Host-login-", 600)
	n.fake.set(func(f *fake) { f.offline = true })
	res := b.callback(n, answerTo(n, location))
	if got := arrived(t, n, res); got != "/rooms/7?a=b&c=d#c" {
		t.Fatalf("got to %q", got)
	}
	wantCookie(t, b.set, "__Host-session", 7*24*3600)
	if len(b.cookies) != 1 {
		t.Errorf("got cookies %v, want that of the session", b.cookies)
	}
	id := n.mustVerify(t, b.session(n))
	if id.Subject != "alice" || id.Issuer != issuer || id.Session != "s1" || !id.Recheck || id.Claims.String("name") != "Alice" {
		t.Errorf("got %+v", id)
	}
	if _, there := id.Claims["nonce"]; there {
		t.Error("the nonce is among the claims")
	}
	for _, secret := range []string{b.session(n).Reveal(), "refresh-canary", "access-canary", "Alice", "eyJ"} {
		if n.store.has(secret) {
			t.Errorf("%q stands in the store", secret)
		}
		if secret != "Alice" && strings.Contains(n.logs.String(), secret) {
			t.Errorf("%q stands in the log", secret)
		}
	}
}

// wantCookie checks the attributes of the cookie that was set.
func wantCookie(t *testing.T, set []*http.Cookie, name string, age int) {
	t.Helper()
	for _, c := range set {
		if !strings.HasPrefix(c.Name, name) || c.MaxAge < 0 {
			continue
		}
		if !c.HttpOnly || !c.Secure || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != age {
			t.Errorf("got cookie %v, want HttpOnly, Secure, Lax, of this host, for %ds", c, age)
		}
		return
	}
	t.Errorf("got no cookie %s in %v", name, set)
}

// At http on loopback a browser keeps no cookie that is Secure.
func TestLoginAtLoopback(t *testing.T) {
	n, b := newNode(t, func(o *login.Options) { o.URL = "http://localhost:8080" }), newBrowser(t)
	b.login(n)
	if n.Cookie() != "session" || b.session(n).Empty() {
		t.Errorf("got cookies %v, want session", b.cookies)
	}
	for _, c := range b.set {
		if c.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode {
			t.Errorf("got cookie %v", c)
		}
	}
}

func TestReturn(t *testing.T) {
	n := newNode(t, func(o *login.Options) { o.After = "/home" })
	for place, good := range map[string]bool{
		"": true, "/": true, "/a/b?c=d&e=%2F#f": true, "/%2F/evil.example": true, "/a//b": true, `/"><script>`: true, "/a;url=//evil.example": true, "/'a'": true, "/https://evil.example": true,
		"//evil.example": false, `/\evil.example`: false, `\\evil.example`: false, "https://evil.example": false,
		"javascript:alert(1)": false, "evil.example": false, "/\t/evil.example": false, "/\n/evil.example": false,
		"\t//evil.example": false, " /a": false, "/a b": false, "///evil.example": false, "/%zz": false, "/\x00": false,
		"/ä": false, "?a": false, "#a": false, "/" + strings.Repeat("a", 2048): false,
	} {
		b := newBrowser(t)
		res := b.do(n, http.MethodGet, login.LoginPath+"?return="+url.QueryEscape(place), "")
		if !good {
			if res.StatusCode != http.StatusBadRequest || len(b.set) != 0 {
				t.Errorf("%q: got status %d, want 400", place, res.StatusCode)
			}
			continue
		}
		if res.StatusCode != http.StatusSeeOther {
			t.Errorf("%q: got status %d, want 303", place, res.StatusCode)
			continue
		}
		want := place
		if want == "" {
			want = "/home"
		}
		if got := arrived(t, n, b.callback(n, answerTo(n, res.Header.Get("Location")))); got != want {
			t.Errorf("%q: got %q afterwards", place, got)
		}
	}
	b := newBrowser(t)
	if res := b.do(n, http.MethodGet, login.LoginPath+"?return=/a&return=/b", ""); res.StatusCode != http.StatusBadRequest {
		t.Errorf("twice: got status %d, want 400", res.StatusCode)
	}
}

func TestMethods(t *testing.T) {
	n := newNode(t, nil)
	for path, allowed := range map[string]string{
		login.LoginPath: "GET", login.CallbackPath: "GET", login.LogoutPath: "POST", login.BackChannelPath: "POST",
	} {
		for _, method := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS"} {
			res := newBrowser(t).do(n, method, path, "")
			if (res.StatusCode == http.StatusMethodNotAllowed) == (method == allowed) {
				t.Errorf("%s %s: got status %d", method, path, res.StatusCode)
			}
		}
	}
	if res := newBrowser(t).do(n, "GET", "/auth/other", ""); res.StatusCode != http.StatusNotFound {
		t.Errorf("got status %d, want 404", res.StatusCode)
	}
	// A login is not begun by a frame or an image.
	for _, dest := range []string{"iframe", "image", "empty", "script"} {
		if res := newBrowser(t).do(n, "GET", login.LoginPath, "", "Sec-Fetch-Dest", dest); res.StatusCode != http.StatusForbidden {
			t.Errorf("%s: got status %d, want 403", dest, res.StatusCode)
		}
	}
}

// Several tabs may log in at the same time, and a browser does not collect
// cookies.
func TestLoginInTabs(t *testing.T) {
	n, b := newNode(t, nil), newBrowser(t)
	first, second := b.begin(n, "?return=/1"), b.begin(n, "?return=/2")
	if got := arrived(t, n, b.callback(n, answerTo(n, first))); got != "/1" {
		t.Errorf("got %q, want /1", got)
	}
	old := b.session(n)
	if got := arrived(t, n, b.callback(n, answerTo(n, second))); got != "/2" {
		t.Errorf("got %q, want /2", got)
	}
	if _, err := n.verify(t, old); err == nil {
		t.Error("the session of before is good still")
	}
	n.mustVerify(t, b.session(n))
	for range 30 {
		b.begin(n, "")
	}
	if len(b.cookies) > 6 {
		t.Errorf("got %d cookies, want at most 5 and the session's", len(b.cookies))
	}
}

// A session that was planted in a browser is not the one that a login gives, and
// ends.
func TestSessionFixation(t *testing.T) {
	n, attacker, victim := newNode(t, nil), newBrowser(t), newBrowser(t)
	planted := attacker.login(n)
	victim.cookies[n.Cookie()] = planted.Reveal()
	n.fake.set(func(f *fake) { f.claims = map[string]any{"sub": "victim", "sid": "s2"} })
	got := victim.login(n)
	if got.Equal(planted) {
		t.Fatal("a login gave the cookie that was there before")
	}
	if id := n.mustVerify(t, got); id.Subject != "victim" {
		t.Errorf("got %q, want victim", id.Subject)
	}
	if _, err := n.verify(t, planted); err == nil {
		t.Error("the planted session is good still")
	}
}

// The cookie is a credential as a cookie, and as nothing else.
func TestCookieIsNoToken(t *testing.T) {
	n, b := newNode(t, nil), newBrowser(t)
	cookie := b.login(n)
	for _, c := range []usher.Credential{
		{Carrier: "bearer", Kind: usher.KindToken, Secret: cookie},
		{Carrier: "query", Kind: usher.KindToken, Secret: cookie},
		{Carrier: "first_message", Kind: usher.KindToken, Secret: cookie},
		{Carrier: "cookie", Kind: usher.KindTicket, Secret: cookie},
		{Carrier: "basic", Kind: usher.KindPassword, Secret: cookie},
		{Carrier: "cookie", Kind: usher.KindToken, Secret: usher.NewSecret("another application's")},
		{Carrier: "cookie", Kind: usher.KindToken, Secret: usher.NewSecret("")},
		{Carrier: "cookie", Kind: usher.KindToken, Secret: usher.NewSecret(strings.ToLower(cookie.Reveal()))},
	} {
		if _, err := n.Verify(t.Context(), c); !errors.Is(err, usher.ErrUnrecognized) {
			t.Errorf("%s %s: got %v, want ErrUnrecognized", c.Carrier, c.Kind, err)
		}
	}
	_, err := n.verify(t, usher.NewSecret(strings.Repeat("A", 26)))
	if err == nil || errors.Is(err, usher.ErrUnrecognized) || errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("a made-up cookie: got %v, want a no", err)
	}
}

// With the store down nobody gets in, nobody is logged in, and nothing is lost.
func TestStoreDown(t *testing.T) {
	n, b := newNode(t, nil), newBrowser(t)
	cookie := b.login(n)
	n.store.setDown(true)
	if _, err := n.verify(t, cookie); !errors.Is(err, usher.ErrUnavailable) {
		t.Errorf("verify: got %v, want ErrUnavailable", err)
	}
	other := newBrowser(t)
	res := other.callback(n, answerTo(n, other.begin(n, "")))
	if res.StatusCode != http.StatusServiceUnavailable || !other.session(n).Empty() {
		t.Errorf("login: got status %d and cookies %v, want 503 and none", res.StatusCode, other.cookies)
	}
	if res := b.do(n, "POST", login.LogoutPath, "", "Origin", site); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("logout: got status %d, want 503", res.StatusCode)
	}
	n.store.setDown(false)
	n.mustVerify(t, cookie)
	if b.session(n).Empty() {
		t.Error("the cookie is gone, so that nobody can log out any more")
	}
}

// Who hangs up while the configuration is read does not spoil it for others.
func TestProviderAskedForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNode(t, nil)
		n.fake.set(func(f *fake) { f.slow = time.Second })
		ctx, hangUp := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer hangUp()
		n.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(ctx, "GET", site+login.LoginPath, nil))
		newBrowser(t).login(n)
	})
}

// A provider that does not name its sessions is told of once.
func TestProviderNamesNoSessions(t *testing.T) {
	const about = "does not name its sessions"
	n := newNode(t, nil)
	newBrowser(t).login(n)
	if strings.Contains(n.logs.String(), about) {
		t.Errorf("warned of a session with a name:\n%s", n.logs)
	}
	n.fake.set(func(f *fake) { f.claims = map[string]any{"sid": nil} })
	for range 2 {
		newBrowser(t).login(n)
	}
	if got := strings.Count(n.logs.String(), about); got != 1 {
		t.Errorf("warned %d times, want once:\n%s", got, n.logs)
	}
}

// While the provider is away logins are 503, it is asked once in a while, and
// sessions go on.
func TestProviderDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, b := newNode(t, nil), newBrowser(t)
		cookie := b.login(n)
		n.fake.set(func(f *fake) { f.slow = time.Hour })
		n.mustVerify(t, cookie)
		b.begin(n, "") // The configuration is at hand.
		time.Sleep(25 * time.Hour)
		before := time.Now()
		if res := newBrowser(t).do(n, "GET", login.LoginPath, ""); res.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("got status %d, want 503", res.StatusCode)
		}
		if waited := time.Since(before); waited > 5*time.Second {
			t.Errorf("waited %v, want at most 5s", waited)
		}
		before = time.Now()
		for range 100 {
			newBrowser(t).do(n, "GET", login.LoginPath, "")
		}
		if waited := time.Since(before); waited != 0 {
			t.Errorf("a hundred more waited %v, want no wait", waited)
		}
		n.fake.set(func(f *fake) { f.slow = 0 })
		time.Sleep(5 * time.Second)
		newBrowser(t).login(n)
	})
}

// A provider that takes its time is asked about so many logins at once and no
// more; the rest is told so at once, and those inside are asked about all the
// same.
func TestProviderIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := offline(t)
		cookie := newBrowser(t).login(n)
		time.Sleep(10 * time.Minute)
		var callbacks []func() int
		for range 200 {
			b := newBrowser(t)
			query := answerTo(n, b.begin(n, ""))
			callbacks = append(callbacks, func() int { return b.callback(n, query).StatusCode })
		}
		n.fake.set(func(f *fake) { f.slow = 4 * time.Second })
		asked, begun := n.fake.questions(), time.Now()
		var all sync.WaitGroup
		var busy atomic.Int64
		for _, callback := range callbacks {
			all.Go(func() {
				if status := callback(); status == http.StatusServiceUnavailable && time.Since(begun) == 0 {
					busy.Add(1)
				}
			})
		}
		synctest.Wait()
		n.mustVerify(t, cookie)
		all.Wait()
		if got := n.fake.questions() - asked; got != 65 || busy.Load() != 200-64 {
			t.Errorf("got %d questions and %d turned away, want 64 logins, one for who is inside, and the rest away", got, busy.Load())
		}
	})
}

func TestOptions(t *testing.T) {
	good := login.Options{
		Issuer: issuer, ClientID: clientID, URL: site, Sessions: newStore(), Live: &usher.Sessions{}, Secret: secretOfAll,
	}
	for name, change := range map[string]func(*login.Options){
		"no issuer":           func(o *login.Options) { o.Issuer = "" },
		"plain issuer":        func(o *login.Options) { o.Issuer = "http://login.example.com" },
		"no client":           func(o *login.Options) { o.ClientID = "" },
		"no url":              func(o *login.Options) { o.URL = "" },
		"plain url":           func(o *login.Options) { o.URL = "http://app.example.com" },
		"url with a path":     func(o *login.Options) { o.URL = site + "/app" },
		"url with a query":    func(o *login.Options) { o.URL = site + "?a" },
		"after is elsewhere":  func(o *login.Options) { o.After = "//evil.example" },
		"cookie of any site":  func(o *login.Options) { o.Cookie = "session" },
		"cookie not kept":     func(o *login.Options) { o.URL, o.Cookie = "http://localhost", "__Host-session" },
		"short idle":          func(o *login.Options) { o.Idle = time.Second },
		"negative lifetime":   func(o *login.Options) { o.Lifetime = -time.Hour },
		"empty scope":         func(o *login.Options) { o.Scopes = []string{""} },
		"two scopes in one":   func(o *login.Options) { o.Scopes = []string{"a b"} },
		"no store":            func(o *login.Options) { o.Sessions = nil },
		"no live connections": func(o *login.Options) { o.Live = nil },
		"no secret":           func(o *login.Options) { o.Secret = nil },
	} {
		o := good
		change(&o)
		if _, err := login.New(o); err == nil {
			t.Errorf("%s: got nil, want an error", name)
		}
	}
	if _, err := login.New(good); err != nil {
		t.Errorf("got %v, want nil", err)
	}
	// A secret that is not there yet seals nothing.
	n := newNode(t, func(o *login.Options) { o.Secret = func() usher.Secret { return usher.Secret{} } })
	if res := newBrowser(t).do(n, "GET", login.LoginPath, ""); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("without a secret: got status %d, want 503", res.StatusCode)
	}
}

// A provider whose configuration would send people or secrets astray is not used.
func TestBadConfiguration(t *testing.T) {
	for name, change := range map[string]map[string]any{
		"another issuer":     {"issuer": "https://evil.example"},
		"plain login":        {"authorization_endpoint": "http://login.example.com/auth"},
		"login in a script":  {"authorization_endpoint": "javascript:alert(1)"},
		"no token endpoint":  {"token_endpoint": nil},
		"tokens on loopback": {"token_endpoint": "http://127.0.0.1/token"},
		"plain logout":       {"end_session_endpoint": "http://login.example.com/logout"},
		"too long":           {"filler": strings.Repeat("x", 1<<20)},
	} {
		t.Run(name, func(t *testing.T) {
			n := newNode(t, nil)
			n.fake.set(func(f *fake) { over(f.config, change) })
			if res := newBrowser(t).do(n, "GET", login.LoginPath, ""); res.StatusCode != http.StatusServiceUnavailable {
				t.Errorf("got status %d, want 503", res.StatusCode)
			}
			if !strings.Contains(n.logs.String(), "level=WARN") {
				t.Errorf("got no warning in %s", n.logs)
			}
		})
	}
}

// A public client proves itself by PKCE alone.
func TestPublicClient(t *testing.T) {
	n, b := newNode(t, func(o *login.Options) { o.ClientSecret = usher.Secret{} }), newBrowser(t)
	res := b.callback(n, answerTo(n, b.begin(n, "")))
	if res.StatusCode != http.StatusServiceUnavailable || !strings.Contains(n.logs.String(), "invalid_client") {
		t.Errorf("got status %d, want 503: this provider wants a secret\n%s", res.StatusCode, n.logs)
	}
	if form := n.fake.asked[0]; form.Get("client_id") != clientID || form.Has("client_secret") {
		t.Errorf("got %v, want the client's id in the form", form)
	}
}
