package login_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/login"
)

const site = "https://app.example.com"

// A logbook is a buffer for what goroutines write.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// A node is a login in front of a fake provider.
type node struct {
	*login.Login
	fake  *fake
	store *store
	live  login.Live
	logs  *logbook
}

// severed are live connections that may not be able to tell other nodes.
type severed struct {
	usher.Sessions
	down bool
}

func (s *severed) Revoke(ctx context.Context, r usher.Revocation) (int, error) {
	n, err := s.Sessions.Revoke(ctx, r)
	if s.down {
		err = errors.Join(err, fmt.Errorf("%w: other nodes", usher.ErrUnavailable))
	}
	return n, err
}

func secretOfAll() usher.Secret { return usher.NewSecret(strings.Repeat("of all nodes ", 3)) }

func newNode(t testing.TB, change func(*login.Options)) *node {
	t.Helper()
	return joined(t, newFake(t), newStore(), &severed{}, change)
}

// joined is a node that shares all with others.
func joined(t testing.TB, f *fake, s *store, live login.Live, change func(*login.Options)) *node {
	t.Helper()
	n := &node{fake: f, store: s, live: live, logs: &logbook{}}
	o := login.Options{
		Issuer: issuer, ClientID: clientID, ClientSecret: usher.NewSecret(clientSecret), URL: site,
		Sessions: s, Live: live, Secret: secretOfAll, Client: &http.Client{Transport: f},
		Log: slog.New(slog.NewTextHandler(n.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if change != nil {
		change(&o)
	}
	var err error
	if n.Login, err = login.New(o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.Close() })
	return n
}

// A browser keeps cookies.
type browser struct {
	t       testing.TB
	cookies map[string]string
	set     []*http.Cookie // By the last answer.
}

func newBrowser(t testing.TB) *browser { return &browser{t: t, cookies: make(map[string]string)} }

// do makes a request to a node. Headers are names and values in turn.
func (b *browser) do(n *node, method, target, body string, headers ...string) *http.Response {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), method, site+target, strings.NewReader(body))
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	n.ServeHTTP(w, r)
	res := w.Result()
	if got := res.Header.Get("Cache-Control"); got != "no-store" {
		b.t.Errorf("%s %s: got Cache-Control %q, want no-store", method, r.URL.Path, got)
	}
	b.set = res.Cookies()
	for _, c := range b.set {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name] = c.Value
		}
	}
	return res
}

// begin goes to the login, and returns where that sends the browser.
func (b *browser) begin(n *node, query string) string {
	b.t.Helper()
	res := b.do(n, http.MethodGet, login.LoginPath+query, "", "Sec-Fetch-Dest", "document", "Sec-Fetch-Site", "cross-site")
	if res.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("login: got status %d, want 303", res.StatusCode)
	}
	return res.Header.Get("Location")
}

// answerTo is the query that the provider answers a request with.
func answerTo(n *node, location string) url.Values {
	u, err := url.Parse(location)
	if err != nil {
		n.fake.t.Fatal(err)
	}
	return url.Values{"code": {n.fake.code(location)}, "state": {u.Query().Get("state")}, "iss": {issuer}}
}

func (b *browser) callback(n *node, query url.Values) *http.Response {
	b.t.Helper()
	return b.do(n, http.MethodGet, login.CallbackPath+"?"+query.Encode(), "")
}

// login logs somebody in, and returns the session's cookie.
func (b *browser) login(n *node) usher.Secret {
	b.t.Helper()
	res := b.callback(n, answerTo(n, b.begin(n, "")))
	arrived(b.t, n, res)
	return b.session(n)
}

var onward = regexp.MustCompile(`content="0;url=([^"]*)"><title>Logged in</title><a href="([^"]*)">`)

// arrived returns where a callback sends the browser.
func arrived(t testing.TB, n *node, res *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	m := onward.FindStringSubmatch(string(body))
	if res.StatusCode != http.StatusOK || m == nil || m[1] != m[2] {
		t.Fatalf("callback: got status %d and %s, want a page that goes on\n%s", res.StatusCode, body, n.logs)
	}
	return html.UnescapeString(m[1])
}

// session is the session's cookie, or empty.
func (b *browser) session(n *node) usher.Secret { return usher.NewSecret(b.cookies[n.Cookie()]) }

// verify judges a cookie as a Guard has it judged.
func (n *node) verify(t testing.TB, cookie usher.Secret) (*usher.Identity, error) {
	t.Helper()
	return n.Verify(t.Context(), usher.Credential{Carrier: "cookie", Kind: usher.KindToken, Secret: cookie})
}

func (n *node) mustVerify(t testing.TB, cookie usher.Secret) *usher.Identity {
	t.Helper()
	id, err := n.verify(t, cookie)
	if err != nil {
		t.Fatalf("verify: got %v, want nil\n%s", err, n.logs)
	}
	return id
}
