package issuer

import (
	"log/slog"
	"time"

	"github.com/usher-ws/usher"
)

// Defaults of Options.
const (
	DefaultAccessToken     = 10 * time.Minute
	DefaultMaxAccessToken  = time.Hour
	DefaultRefreshIdle     = 14 * 24 * time.Hour
	DefaultRefreshLifetime = 90 * 24 * time.Hour
	DefaultGrace           = 5 * time.Second
)

// Options say what an Issuer issues, and with what.
type Options struct {
	// Name is the issuer identifier, the claim "iss" (RFC 8414 §2): an origin,
	// https://usher.example.com, or http on loopback. Required.
	Name string
	// Audience is the claim "aud" of tokens whose client names none. Default:
	// Name.
	Audience string
	// AccessToken is how long an access token is good whose client asks for no
	// time. Default: 10 minutes.
	AccessToken time.Duration
	// MaxAccessToken is the most that a client can ask for. Default: an hour.
	MaxAccessToken time.Duration
	// RefreshIdle is how long a refresh token is good that is not used.
	// Default: 14 days.
	RefreshIdle time.Duration
	// RefreshLifetime is how long a family of refresh tokens is good, from the
	// exchange that began it, however often it is used. Default: 90 days.
	RefreshLifetime time.Duration
	// Grace is how long after its use a refresh token may be used once more, for
	// the same successor: two tabs, or an answer that was lost. Default: 5 s.
	Grace time.Duration
	// Clients are who may ask. Required.
	Clients Clients
	// Signing has the keys that access tokens are signed with. Required.
	Signing Signing
	// Grants keeps the families of refresh tokens. Required.
	Grants Store
	// Secret returns what refresh tokens are made with: at least 32 bytes, the
	// same on all nodes and for as long as families live. It is asked at each
	// use. Required.
	Secret func() usher.Secret
	// Subjects judges the tokens of others that a client may exchange for one of
	// ours (RFC 8693 §2.1, subject_token). Default: none is taken.
	Subjects usher.Verifier
	// Live are the connections that refreshed tokens renew and stolen ones end.
	// Required.
	Live Live
	// Origins are those of pages that may use a refresh token, which is all that
	// a page can ask for, each exact. Default: those of the issuer's name only.
	Origins []string
	// Log is told what is issued and taken back, at debug level, and of reuse, at
	// warn level. Never of a token. Default: slog.Default().
	Log *slog.Logger
}
