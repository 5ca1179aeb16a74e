package issuer

import (
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
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

	defaultKeep = 24 * time.Hour
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
	// Keep is how long Live remembers revocations. No access token is good for
	// longer, from its iat on. Default: 24 hours, or MaxAccessToken if that is more.
	Keep time.Duration
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
	// Subjects judge the tokens of others that a client may exchange for one of
	// ours, by their kind: TypeAccessToken, TypeIDToken or TypeJWT (RFC 8693 §3).
	// Each must refuse what is of another kind. Whoever they say it is gets a
	// token of ours by that name, so no two of them should know different people
	// by one. Default: none is taken.
	Subjects map[string]usher.Verifier
	// Live are the connections that refreshed tokens renew and stolen ones end.
	// Required.
	Live Live
	// Origins are those of pages that may use and revoke a refresh token, which
	// is all that a page can ask for, each exact. Default: none but Name.
	Origins []string
	// Guesses slow down who guesses at secrets. Default: nobody does.
	Guesses Guesses
	// Address returns the address of a request's client, for Guesses. Default:
	// that of the connection.
	Address func(r *http.Request) netip.Addr
	// Observe is told of each request that an endpoint has answered. Default: nobody
	// is told.
	Observe func(Event)
	// Log is told what is issued and taken back, at debug level, and of reuse, at
	// warn level. Never of a token. Default: slog.Default().
	Log *slog.Logger
}

// complete checks the options and puts in the defaults.
func (o *Options) complete() error {
	if err := validName(o.Name); err != nil {
		return err
	}
	switch {
	case o.Clients == nil, o.Signing == nil, o.Grants == nil, o.Secret == nil, o.Live == nil:
		return errors.New("clients, signing, grants, secret and live are required")
	case min(o.AccessToken, o.MaxAccessToken, o.RefreshIdle, o.RefreshLifetime, o.Grace, o.Keep) < 0:
		return errors.New("a time is negative; leave it 0 for its default")
	}
	for kind, v := range o.Subjects {
		if v == nil || kind != TypeAccessToken && kind != TypeIDToken && kind != TypeJWT {
			return fmt.Errorf("subjects: %q is no kind of token that can be exchanged, or has no verifier", kind)
		}
	}
	if err := (&usher.Guard{Origins: o.Origins}).Validate(); err != nil {
		return err
	}
	for option, fallback := range map[*time.Duration]time.Duration{
		&o.AccessToken: DefaultAccessToken, &o.MaxAccessToken: DefaultMaxAccessToken, &o.RefreshIdle: DefaultRefreshIdle,
		&o.RefreshLifetime: DefaultRefreshLifetime, &o.Grace: DefaultGrace,
	} {
		if *option == 0 {
			*option = fallback
		}
	}
	if o.Keep == 0 {
		o.Keep = max(defaultKeep, o.MaxAccessToken)
	}
	if o.Audience == "" {
		o.Audience = o.Name
	}
	if o.Address == nil {
		o.Address = peer
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	switch {
	case o.AccessToken < time.Second:
		return errors.New("access tokens must be good for a second at least")
	case o.AccessToken > o.MaxAccessToken:
		return fmt.Errorf("access tokens of %v, and at most %v", o.AccessToken, o.MaxAccessToken)
	case o.MaxAccessToken > o.Keep:
		return fmt.Errorf("access tokens of at most %v, and revocations are kept for %v", o.MaxAccessToken, o.Keep)
	case o.RefreshIdle <= o.Grace, o.RefreshLifetime < o.RefreshIdle:
		return fmt.Errorf("refresh tokens of %v, of families of %v, with %v of grace", o.RefreshIdle, o.RefreshLifetime, o.Grace)
	}
	return nil
}

// validName checks an issuer identifier: an origin, so that what others put
// behind it (RFC 8414 §3.1) cannot be understood in two ways.
func validName(name string) error {
	u, err := url.Parse(name)
	if err != nil || u.Scheme+"://"+u.Host != name || u.Hostname() == "" || strings.ToLower(name) != name {
		return fmt.Errorf("name %.100q is not an origin such as https://usher.example.com", name)
	}
	ip := net.ParseIP(u.Hostname())
	if local := u.Hostname() == "localhost" || ip != nil && ip.IsLoopback(); u.Scheme != "https" && (u.Scheme != "http" || !local) {
		return fmt.Errorf("name %q: want https, or http on loopback", name)
	}
	return nil
}

// peer is the address of who is connected.
func peer(r *http.Request) netip.Addr {
	at, _ := netip.ParseAddrPort(r.RemoteAddr) // Those that cannot be read are one.
	return at.Addr().Unmap()
}
