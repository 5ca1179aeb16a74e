package login

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// secureOnly are prefixes of names that browsers keep only from https (RFC
// 6265bis §4.1.3).
const (
	hostPrefix   = "__Host-"
	securePrefix = "__Secure-"
)

// complete fills in the defaults, and reports what is missing or wrong.
func (o *Options) complete() error {
	if err := (&usher.JWKS{Issuer: o.Issuer}).Validate(); o.Issuer == "" || err != nil {
		return errors.New("issuer is not https, or http on loopback")
	}
	site, err := url.Parse(o.URL)
	if err != nil || checkURL(o.URL, true) != nil || strings.Trim(site.Path, "/") != "" || site.RawQuery != "" || site.Fragment != "" {
		return errors.New("url is not the origin of a site at https, or http on loopback")
	}
	o.URL = site.Scheme + "://" + strings.ToLower(site.Host)
	secure := site.Scheme == "https"
	if o.After == "" {
		o.After = "/"
	}
	if o.Cookie == "" && secure {
		o.Cookie = DefaultCookie
	} else if o.Cookie == "" {
		o.Cookie = strings.TrimPrefix(DefaultCookie, hostPrefix)
	}
	if o.Idle == 0 {
		o.Idle = DefaultIdle
	}
	if o.Lifetime == 0 {
		o.Lifetime = DefaultLifetime
	}
	switch {
	case o.ClientID == "":
		return errors.New("no client id")
	case checkPlace(o.After) != nil:
		return errors.New("after is not a path of this site")
	case secure && !strings.HasPrefix(o.Cookie, hostPrefix):
		return fmt.Errorf("the name of the cookie does not begin with %s: another site could set it", hostPrefix)
	case !secure && (strings.HasPrefix(o.Cookie, hostPrefix) || strings.HasPrefix(o.Cookie, securePrefix)):
		return errors.New("browsers do not keep a cookie of this name at http")
	case o.Idle < time.Minute || o.Lifetime < time.Minute:
		return errors.New("a session that lives less than a minute")
	case slices.ContainsFunc(o.Scopes, func(s string) bool { return s == "" || strings.ContainsAny(s, " \"\\") }):
		return errors.New("a scope that is empty or several")
	case o.Sessions == nil || o.Live == nil || o.Secret == nil:
		return errors.New("no store, no live connections or no secret")
	}
	return nil
}

// checkURL reports an address that nobody may be sent to or be asked at: one that
// is not https, nor, where that may be, http on loopback.
func checkURL(text string, loopback bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "" || u.Opaque != "" || u.User != nil:
		return errors.New("malformed url")
	case u.Scheme == "https", u.Scheme == "http" && loopback && isLoopback(u.Hostname()):
		return nil
	}
	return errors.New("url is not https")
}

func isLoopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback() || strings.EqualFold(host, "localhost")
}

// maxPlace bounds what a login is told to come back to, in bytes.
const maxPlace = 2048

// checkPlace reports a place that is not a path of this site. Browsers read a
// backslash as a slash and drop tabs and line ends (the URL standard §4.4), so
// that much that looks like a path leads to another site.
func checkPlace(place string) error {
	u, err := url.Parse(place)
	if err != nil || len(place) > maxPlace || !strings.HasPrefix(place, "/") || strings.HasPrefix(place, "//") ||
		u.Scheme != "" || u.Host != "" || u.User != nil ||
		strings.ContainsFunc(place, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '\\' }) {
		return errors.New("not a path of this site")
	}
	return nil
}
