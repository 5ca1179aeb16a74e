package issuer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

const (
	name     = "https://usher.example.com"
	audience = "chat"
	page     = "https://app.example.com"

	forClient = "client_credentials"
	exchange  = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// signing are keys. The zero value has none.
type signing struct{ keys []issuer.SigningKey }

func (s *signing) Keys() []issuer.SigningKey { return s.keys }

func (s *signing) add(t testing.TB, id, algorithm string) {
	t.Helper()
	var private crypto.Signer
	_, ed, err := ed25519.GenerateKey(rand.Reader)
	private = ed
	if algorithm == "ES256" {
		private, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	}
	if err != nil {
		t.Fatal(err)
	}
	s.keys = append([]issuer.SigningKey{{ID: id, Algorithm: algorithm, Private: private}}, s.keys...)
}

// live are the sessions as a server gives them to the issuer, and what was done.
type live struct {
	usher.Sessions
	mu      sync.Mutex
	renewed []*usher.Identity
	revoked []usher.Revocation
	broken  error // Of the other nodes.
}

func (l *live) Renew(ctx context.Context, id *usher.Identity) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.renewed = append(l.renewed, id)
	if l.broken != nil {
		return 0, l.broken
	}
	return l.Sessions.Renew(ctx, id)
}

func (l *live) Revoke(ctx context.Context, r usher.Revocation) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.revoked = append(l.revoked, r)
	n, err := l.Sessions.Revoke(ctx, r)
	return n, errors.Join(err, l.broken)
}

// counts returns how many renewals and revocations there were.
func (l *live) counts() (renewed, revoked int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.renewed), len(l.revoked)
}

func (l *live) breaks(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.broken = err
}

// A site is an issuer with all that it needs.
type site struct {
	t       testing.TB
	options issuer.Options
	issuer  *issuer.Issuer
	store   *store
	clients *clients
	signing *signing
	live    *live
	log     *logbook
}

// A logbook keeps what is logged.
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

func permissions(t testing.TB, scope, capability string) usher.Permissions {
	t.Helper()
	p, err := usher.NewPermissions(scope, capability)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// newSite makes a site with the clients app, which may do all, peeker, which may
// introspect, and idle, which may do nothing.
func newSite(t testing.TB, change ...func(*issuer.Options)) *site {
	t.Helper()
	s := &site{
		t: t, store: &store{records: make(map[string]record)}, signing: new(signing), live: new(live), log: new(logbook),
		clients: &clients{list: make(map[string]issuer.Client)},
	}
	s.signing.add(t, "key-1", "EdDSA")
	all := permissions(t, "read write", `{"chat:*":["*"],"news":["subscribe","history"]}`)
	s.clients.set("app", func(c *issuer.Client) { c.Tokens, c.Exchange, c.Introspect, c.Permissions = true, true, true, all })
	s.clients.set("other", func(c *issuer.Client) { c.Exchange, c.Permissions = true, all })
	s.clients.set("peeker", func(c *issuer.Client) { c.Introspect = true })
	s.clients.set("idle", func(*issuer.Client) {})
	secret := usher.NewSecret("canary" + rand.Text() + rand.Text())
	s.options = issuer.Options{
		Name: name, Audience: audience, Clients: s.clients, Signing: s.signing, Grants: s.store, Live: s.live,
		Secret: func() usher.Secret { return secret }, Origins: []string{page},
		Log: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, f := range change {
		f(&s.options)
	}
	s.issuer = s.node()
	return s
}

// node returns another issuer of the same site.
func (s *site) node() *issuer.Issuer {
	s.t.Helper()
	i, err := issuer.New(s.options)
	if err != nil {
		s.t.Fatal(err)
	}
	return i
}

// An answer is what an endpoint says.
type answer struct {
	status int
	header http.Header
	text   string
	body   map[string]any
}

func (a *answer) get(member string) string {
	text, _ := a.body[member].(string)
	return text
}

// ask sends a request to a node.
func ask(t testing.TB, i *issuer.Issuer, path string, r *http.Request) *answer {
	t.Helper()
	h := i.Endpoints()[path]
	if h == nil {
		t.Fatalf("there is no %s", path)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	a := &answer{status: w.Code, header: w.Header(), text: w.Body.String()}
	if a.text != "" {
		if err := json.Unmarshal(w.Body.Bytes(), &a.body); err != nil {
			t.Fatalf("%s: %v in %q", path, err, a.text)
		}
	}
	return a
}

// formOf reads pairs of names and values.
func formOf(pairs []string) url.Values {
	values := make(url.Values)
	for n := 0; n+1 < len(pairs); n += 2 {
		values.Add(pairs[n], pairs[n+1])
	}
	return values
}

func newRequest(path string, values url.Values) *http.Request {
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(values.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r
}

// post sends a form as a client, or as nobody.
func (s *site) post(path, client string, pairs ...string) *answer {
	s.t.Helper()
	return s.postAt(s.issuer, path, client, pairs...)
}

func (s *site) postAt(i *issuer.Issuer, path, client string, pairs ...string) *answer {
	s.t.Helper()
	r := newRequest(path, formOf(pairs))
	if client != "" {
		r.SetBasicAuth(client, secretOf(client))
	}
	return ask(s.t, i, path, r)
}

// as is post for what must succeed.
func (s *site) as(path, client string, pairs ...string) *answer {
	s.t.Helper()
	a := s.post(path, client, pairs...)
	if a.status != http.StatusOK {
		s.t.Fatalf("%s as %q with %q: got %d %s", path, client, pairs, a.status, a.text)
	}
	return a
}

// user gets tokens for a user: a refresh token too.
func (s *site) user(subject string, pairs ...string) *answer {
	s.t.Helper()
	pairs = append([]string{
		"grant_type", exchange, "subject_token", subject, "subject_token_type", issuer.TypeSubject,
		"requested_token_type", issuer.TypeRefreshToken,
	}, pairs...)
	return s.as(issuer.TokenPath, "app", pairs...)
}

// refresh uses a refresh token, as a page does.
func (s *site) refresh(token string, pairs ...string) *answer {
	s.t.Helper()
	return s.post(issuer.TokenPath, "", append([]string{"grant_type", "refresh_token", "refresh_token", token}, pairs...)...)
}

// wants fails the test unless the answer is this error.
func (a *answer) wants(t testing.TB, what string, status int, code string) {
	t.Helper()
	if a.status != status || a.get("error") != code {
		t.Errorf("%s: got %d %s, want %d %s", what, a.status, a.text, status, code)
	}
	if a.get("access_token") != "" || a.get("refresh_token") != "" {
		t.Errorf("%s: a token was issued with an error", what)
	}
	a.inShape(t, what)
}

// inShape fails the test unless the answer is as RFC 6749 §5 has it.
func (a *answer) inShape(t testing.TB, what string) {
	t.Helper()
	if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" {
		t.Errorf("%s: got Cache-Control %q, want no-store", what, a.header.Get("Cache-Control"))
	}
	if a.text != "" && a.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s: got Content-Type %q", what, a.header.Get("Content-Type"))
	}
	if challenge := a.header.Get("WWW-Authenticate"); (a.status == http.StatusUnauthorized) != strings.HasPrefix(challenge, "Basic ") {
		t.Errorf("%s: got %d with the challenge %q", what, a.status, challenge)
	}
	if (a.status == http.StatusUnauthorized) != (a.get("error") == "invalid_client") {
		t.Errorf("%s: got %d with %q: invalid_client is always 401, and nothing else is", what, a.status, a.get("error"))
	}
	if (a.status == http.StatusServiceUnavailable || a.status == http.StatusTooManyRequests) != (a.header.Get("Retry-After") != "") {
		t.Errorf("%s: got %d with Retry-After %q", what, a.status, a.header.Get("Retry-After"))
	}
	for _, c := range a.get("error") + a.get("error_description") {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			t.Errorf("%s: %q has a character that RFC 6749 §5.2 does not allow", what, a.text)
		}
	}
}

// subjectOf returns who an access token is for, by the verifier that a route has.
func (s *site) subjectOf(token string) (*usher.Identity, error) {
	s.t.Helper()
	return s.issuer.Tokens(audience).Verify(s.t.Context(), usher.Credential{Kind: usher.KindToken, Secret: usher.NewSecret(token)})
}

func (s *site) must(token string) *usher.Identity {
	s.t.Helper()
	id, err := s.subjectOf(token)
	if err != nil {
		s.t.Fatalf("the access token is not good: %v", err)
	}
	return id
}

// active reports whether a token is, by introspection.
func (s *site) active(token string) bool {
	s.t.Helper()
	return s.as(issuer.IntrospectPath, "app", "token", token).body["active"] == true
}

// tamper changes a member of all families in the store.
func (s *site) tamper(member string, value any) {
	s.t.Helper()
	for key, r := range s.store.copied() {
		var f map[string]any
		if err := json.Unmarshal(r.value, &f); err != nil {
			s.t.Fatal(err)
		}
		f[member] = value
		text, err := json.Marshal(f)
		if err != nil {
			s.t.Fatal(err)
		}
		s.store.put(key, text, r.until)
	}
}

// A scenario is a test with a site of its own. Its name begins with the section
// that it is about, where there is one.
type scenario struct {
	name string
	run  func(t *testing.T, s *site)
}

// play runs scenarios, each with a clock of its own.
func play(t *testing.T, scenarios ...scenario) {
	t.Helper()
	for _, one := range scenarios {
		t.Run(one.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { one.run(t, newSite(t)) })
		})
	}
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }
