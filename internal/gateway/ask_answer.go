package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// unstored is how long an answer counts that may not be stored. Not at all
	// would be a question for each frame.
	unstored = time.Minute
	// maxFresh is how long an answer counts at most.
	maxFresh = 24 * time.Hour
)

var (
	errNotObject = errors.New("answer is no JSON object")
	errNoSubject = errors.New("answer names no subject")
	errBadTime   = errors.New("answer has a time that is no number")
)

// claims puts the members of the body and the headers that become claims
// together.
func (a *Ask) claims(body []byte, h http.Header) (usher.Claims, error) {
	claims := make(usher.Claims)
	if len(body) > 0 || len(a.Headers) == 0 {
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if err := dec.Decode(&claims); err != nil || claims == nil {
			return nil, errNotObject
		}
		if _, err := dec.Token(); !errors.Is(err, io.EOF) {
			return nil, errNotObject
		}
	}
	for name, claim := range a.Headers {
		if value := h.Get(name); value != "" {
			claims[claim] = value
		}
	}
	return claims, nil
}

// identity makes the identity of a yes.
func (a *Ask) identity(claims usher.Claims, h http.Header, now time.Time) (*usher.Identity, error) {
	subject := a.Subject
	if subject == "" {
		subject = "sub"
	}
	id := &usher.Identity{
		Subject: claimOrNumber(claims, subject), Issuer: claims.String("iss"),
		Session: claimOrNumber(claims, "sid"), Token: claims.String("jti"), Claims: claims, Recheck: true,
	}
	if id.Subject == "" {
		return nil, errors.Join(usher.ErrUnavailable, errNoSubject)
	}
	if id.Issuer == "" {
		id.Issuer = a.origin()
	}
	var err error
	if id.Issued, err = claimTime(claims, "iat"); err != nil {
		return nil, err
	}
	end, err := claimTime(claims, "exp")
	if err != nil {
		return nil, err
	}
	lifetime := a.Lifetime
	if lifetime <= 0 {
		lifetime = defaultAskLifetime
	}
	id.Expires = now.Add(freshFor(h, lifetime))
	if !end.IsZero() && !end.After(id.Expires) {
		id.Expires, id.Recheck = end, false
	}
	if !id.Expires.After(now) {
		return nil, usher.ErrExpired
	}
	return id, nil
}

// claimOrNumber returns a claim that is a text or a number, as text.
func claimOrNumber(claims usher.Claims, name string) string {
	if n, ok := claims[name].(json.Number); ok {
		return n.String()
	}
	return claims.String(name)
}

// claimTime returns a claim in seconds since 1970, or the zero time.
func claimTime(claims usher.Claims, name string) (time.Time, error) {
	value, ok := claims[name]
	if !ok || value == nil {
		return time.Time{}, nil
	}
	seconds, err := strconv.ParseFloat(claimOrNumber(claims, name), 64)
	// Year 9999 is the last that all formats can say.
	if err != nil || math.IsNaN(seconds) || seconds < 0 || seconds > 253402300799 {
		return time.Time{}, errors.Join(usher.ErrUnavailable, errBadTime)
	}
	whole, part := math.Modf(seconds)
	return time.Unix(int64(whole), int64(part*1e9)), nil
}

// freshFor says how long an answer counts (RFC 9111 §4.2), as a cache of one
// client's own would see it; other is for an answer that does not say.
func freshFor(h http.Header, other time.Duration) time.Duration {
	fresh, said := time.Duration(0), false
	for directive := range strings.SplitSeq(strings.Join(h.Values("Cache-Control"), ","), ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(directive), "=")
		switch strings.ToLower(name) {
		case "no-store", "no-cache":
			return unstored
		case "max-age":
			if seconds, err := strconv.ParseUint(strings.Trim(value, `"`), 10, 31); err == nil && !said {
				fresh, said = time.Duration(seconds)*time.Second, true
			} else { // Malformed or twice: stale (RFC 9111 §4.2.1).
				return unstored
			}
		}
	}
	if said {
		if age, err := strconv.ParseUint(h.Get("Age"), 10, 31); err == nil {
			fresh -= time.Duration(age) * time.Second
		}
	} else if len(h["Expires"]) > 0 {
		end, err := http.ParseTime(h.Get("Expires"))
		if err != nil {
			return unstored // "0", which means in the past (RFC 9111 §5.3).
		}
		begin, err := http.ParseTime(h.Get("Date"))
		if err != nil {
			begin = time.Now()
		}
		fresh, said = end.Sub(begin), true
	}
	switch {
	case !said:
		return other
	case fresh <= 0:
		return unstored
	}
	return min(fresh, maxFresh)
}
