package login

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
)

// Defaults of Options.
const (
	DefaultCookie   = "__Host-session" // "session" where URL is http.
	DefaultIdle     = 12 * time.Hour
	DefaultLifetime = 7 * 24 * time.Hour
)

// Options say where people log in, and for how long.
type Options struct {
	// Issuer is the provider's issuer identifier, by which its configuration is
	// found (OpenID Connect Discovery §4): https, or http on loopback. Required.
	Issuer string
	// ClientID is what the provider knows this site by. Required.
	ClientID string
	// ClientSecret goes with it. Default: none, this is a public client.
	ClientSecret usher.Secret
	// Scopes are asked for besides "openid". With "offline_access" the provider
	// is asked, whenever its access token ends, whether the person may stay.
	// Default: none.
	Scopes []string
	// URL is the origin of the public listener as browsers see it:
	// https://app.example.com, or http on loopback. The provider must allow
	// URL + "/auth/callback" as redirect_uri, and URL + After as
	// post_logout_redirect_uri. Required.
	URL string
	// After is where a browser goes after a login that names no place, and after
	// a logout: a path. Default: "/".
	After string
	// Cookie is the name of the session cookie. At https it begins with "__Host-",
	// so that no other site can set it. At http on loopback browsers would not
	// keep such a cookie, so there the name has no such prefix, and the cookie is
	// not Secure: that is for try-outs. Default: "__Host-session", or "session".
	Cookie string
	// Idle is how long a session lives that is not used; a live connection is
	// use. It must be less than revocations are kept for, by a minute: whoever
	// comes back later than that could have been revoked, and nobody knew.
	// Default: 12 hours.
	Idle time.Duration
	// Lifetime is how long a session lives from the login on. Default: 7 days.
	Lifetime time.Duration
	// Sessions keeps the sessions. Required.
	Sessions Store
	// Live are the connections that a logout ends. Required.
	Live Live
	// Secret returns what the cookie of a login under way is sealed with: at
	// least 32 bytes, the same on all nodes. Required.
	Secret func() usher.Secret
	// Client is what the provider is asked with; of it, redirects, cookies and
	// timeout are not used. Default: one of its own.
	Client *http.Client
	// Log is told of logins and logouts, at debug level, and of what the operator
	// should mend, at warn level. Default: slog.Default().
	Log *slog.Logger
}

// A Store keeps records that all nodes share, by keys of letters, digits, '-',
// '_' and '.'. An error means that it is not known whether the call had an
// effect; it wraps [usher.ErrUnavailable].
type Store interface {
	// Create adds a record until a time. It reports false where there is one.
	Create(ctx context.Context, key string, value []byte, until time.Time) (bool, error)
	// Get returns a record, never a stale one, with its revision; nil where there
	// is none.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Update replaces a record that has this revision still. It reports false
	// where it has not.
	Update(ctx context.Context, key string, value []byte, revision uint64, until time.Time) (bool, error)
	// Remove removes a record, if there is one.
	Remove(ctx context.Context, key string) error
}

// Live are the live connections: what of [usher.Sessions] is needed here.
type Live interface {
	// Revoke takes credentials back, on all nodes.
	Revoke(ctx context.Context, r usher.Revocation) (connections int, err error)
	// Admits reports why a credential that is good otherwise is refused: it was
	// revoked. It asks no network.
	Admits(id *usher.Identity) error
}
