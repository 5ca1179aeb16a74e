package login

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/usher-ws/usher"
)

// What a Login serves.
const (
	LoginPath       = "/auth/login"
	CallbackPath    = "/auth/callback"
	LogoutPath      = "/auth/logout"
	BackChannelPath = "/auth/backchannel-logout"
)

// Paths are all of them.
var Paths = []string{LoginPath, CallbackPath, LogoutPath, BackChannelPath}

// A Login is where people log in and out, and the verifier of the cookie that
// they get. Make one with New.
type Login struct {
	// Immutable after New.
	options  Options
	secure   bool // The site is at https.
	client   *http.Client
	provider *provider
	keys     *usher.JWKS
	tokens   *usher.JWT // Judges ID tokens.
	logouts  *usher.JWT // Judges logout tokens.
	checks   *oidc.IDTokenVerifier

	refusals func(*http.Request, *usher.Refusal) // Told of each. Nil: nobody is.
	nameless *sync.Once                          // Warns of sessions that the provider does not name.
}

var (
	_ usher.Verifier = (*Login)(nil)
	_ http.Handler   = (*Login)(nil)
)

// New returns a login. It asks nobody yet. Close ends it.
func New(o Options) (*Login, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	client := newClient(o.Client, strings.HasPrefix(o.Issuer, "http:"))
	l := &Login{options: o, secure: strings.HasPrefix(o.URL, "https:"), client: client, nameless: new(sync.Once)}
	l.provider = newProvider(&l.options, client)
	// The client's own limits on time and redirects are those of JWKS.
	l.keys = &usher.JWKS{Issuer: o.Issuer, Client: o.Client, Log: o.Log}
	l.tokens = &usher.JWT{Issuer: o.Issuer, Audience: o.ClientID, Keys: l.keys, Types: []string{"JWT", ""}, Cache: 100}
	l.logouts = &usher.JWT{Issuer: o.Issuer, Audience: o.ClientID, Keys: l.keys, Types: []string{"logout+jwt", "JWT", ""}, Cache: -1}
	l.checks = oidc.NewVerifier(o.Issuer, signatures{l.tokens}, &oidc.Config{
		ClientID: o.ClientID, SupportedSigningAlgs: []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.ES384, oidc.EdDSA},
	})
	return l, nil
}

// Telling returns the same login, as one that tells refused of each refusal, whose
// explain id the client has. It must not block.
func (l *Login) Telling(refused func(*http.Request, *usher.Refusal)) *Login {
	telling := *l
	telling.refusals = refused
	return &telling
}

// Close ends a fetch of the provider's keys that is under way.
func (l *Login) Close() error {
	l.client.CloseIdleConnections()
	return l.keys.Close()
}

// Cookie is the name of the cookie that it judges.
func (l *Login) Cookie() string { return l.options.Cookie }

// requestTime is how long what a browser waits for may take: the provider is
// asked at most three times.
const requestTime = 15 * time.Second

// ServeHTTP serves the paths above, and nothing else.
func (l *Login) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	method, serve := http.MethodGet, l.begin
	switch r.URL.Path {
	case LoginPath:
	case CallbackPath:
		serve = l.callback
	case LogoutPath:
		method, serve = http.MethodPost, l.logout
	case BackChannelPath:
		method, serve = http.MethodPost, l.backChannel
	default:
		refuse(w, http.StatusNotFound, "", "")
		return
	}
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // The URL may have a code in it.
	h.Set("X-Content-Type-Options", "nosniff")
	if r.Method != method {
		h.Set("Allow", method)
		refuse(w, http.StatusMethodNotAllowed, "", "")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), requestTime)
	defer cancel()
	serve(w, r.WithContext(ctx))
}
