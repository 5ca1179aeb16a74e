package config

import (
	"net/url"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// A Login logs people in at an OpenID provider, at /auth/login, and gives them a
// session cookie that a verifier with login judges. At the provider, allow url
// with /auth/callback as redirect_uri, url with after as
// post_logout_redirect_uri, and url with /auth/backchannel-logout as
// backchannel_logout_uri.
type Login struct {
	// The provider's issuer, by which its configuration is found (OpenID Connect
	// Discovery §4): https, or http on loopback.
	Issuer string `yaml:"issuer" rule:"required"`
	// What the provider knows this site by.
	ClientID string `yaml:"client_id" rule:"required"`
	// File with the secret that goes with it; a newline at its end does not
	// count. Default: none, for a public client.
	ClientSecretFile File `yaml:"client_secret_file"`
	// What is asked for besides openid, such as email. With offline_access the
	// provider is asked, whenever its access token ends, whether the person may
	// stay. Default: none.
	Scopes []string `yaml:"scopes"`
	// Origin of the public listener as browsers see it, such as
	// https://app.example.com, or http on loopback.
	URL string `yaml:"url" rule:"required"`
	// Path where a browser goes after a login that names no other, and after a
	// logout. Default: /.
	After string `yaml:"after" default:"/"`
	// Name of the session cookie. At https it begins with __Host-. Default:
	// __Host-session, or session where url is http, since browsers would not keep
	// the other there.
	Cookie string `yaml:"cookie"`
	// How long a session lives that is not used; a live connection is use. At
	// least a minute less than sessions.keep_revocations. Default: 12h.
	Idle time.Duration `yaml:"idle" default:"12h" min:"1m"`
	// How long a session lives from the login on. Default: 168h.
	Lifetime time.Duration `yaml:"lifetime" default:"168h" min:"1m"`
}

// hostPrefix is how a cookie's name begins that no other site can set (RFC
// 6265bis §4.1.3.2).
const hostPrefix = "__Host-"

// login looks at the login, and gives its cookie a name.
func (k *checker) login(p path, l *Login) {
	if l == nil || !k.reports.clean(p) {
		return
	}
	k.library(p.with("issuer"), (&usher.JWKS{Issuer: l.Issuer}).Validate())
	if l.ClientSecretFile != "" {
		k.secretFile(p.with("client_secret_file"), l.ClientSecretFile)
	}
	k.unique(p.with("scopes"), l.Scopes)
	at := p.with("url")
	k.guard(at, &usher.Guard{Origins: []string{l.URL}})
	u, err := url.Parse(l.URL)
	if err != nil || u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		k.report(at, "want https, or http on loopback")
		return
	}
	if !strings.HasPrefix(l.After, "/") || strings.HasPrefix(l.After, "//") || strings.ContainsAny(l.After, "\\ ") {
		k.report(p.with("after"), "want a path such as /")
	}
	at = p.with("cookie")
	switch {
	case l.Cookie == "" && u.Scheme == "https":
		l.Cookie = hostPrefix + "session"
	case l.Cookie == "":
		l.Cookie = "session"
	case u.Scheme == "https" && !strings.HasPrefix(l.Cookie, hostPrefix):
		k.report(at, "want a name that begins with %s, or other sites could set the cookie", hostPrefix)
	case u.Scheme == "http" && strings.HasPrefix(l.Cookie, "__"):
		k.report(at, "browsers keep no cookie of this name at http; want another, such as session")
	}
	k.guard(at, guardOf([]usher.Carrier{usher.Cookie(l.Cookie, nobody)}))
	if keep := k.config.Sessions.KeepRevocations; l.Idle+time.Minute > keep && keep > 0 {
		k.report(p.with("idle"), "want at least a minute less than sessions.keep_revocations, %v: who comes back later could have been revoked, and nobody knew", keep)
	}
}

// loggedIn reports a verifier of the login's cookie where that is not brought.
func (k *checker) loggedIn(p path, at path, c *Carrier) {
	l := k.config.Login
	switch {
	case l == nil: // Reported for the verifier.
	case c.Cookie != nil && c.Cookie.Name != l.Cookie:
		k.report(p.with("name"), "is not the cookie of login, %s", l.Cookie)
	case c.Ticket != nil && c.Ticket.Cookie != l.Cookie:
		k.report(at, "judges the cookie of login; want cookie: %s beside verify", l.Cookie)
	case c.Cookie == nil && c.Ticket == nil:
		k.report(at, "judges the cookie of login, which only the carriers cookie and ticket bring")
	}
}
