package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-ws/usher"
)

// Verify judges the session cookie. The identity has the claims of the ID token,
// and the provider's session ("sid") where that has one, so that what the
// provider revokes is found. It is asked again as long as a connection lives.
func (l *Login) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	// A cookie's value is no credential anywhere else.
	if c.Kind != usher.KindToken || c.Carrier != "cookie" || !isCookie(c.Secret.Reveal()) {
		return nil, usher.ErrUnrecognized
	}
	id, err := l.verify(ctx, c.Secret)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	return id, nil
}

var errNoSession = errors.New("no such session, or no more")

func (l *Login) verify(ctx context.Context, cookie usher.Secret) (*usher.Identity, error) {
	s, revision, err := l.load(ctx, cookie)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	switch {
	case s == nil:
		return nil, errNoSession
	case !now.Before(l.until(s)): // The store may take a while to drop it.
		return nil, fmt.Errorf("%w: session", usher.ErrExpired)
	}
	// Before its time is moved on: whoever was revoked must not get past that.
	if err := l.options.Live.Admits(l.identity(s, now)); err != nil {
		if errors.Is(err, usher.ErrRevoked) {
			_ = l.options.Sessions.Remove(ctx, keyOf(cookie)) // It is refused without.
		}
		return nil, err
	}
	if s, err = l.advance(ctx, cookie, s, revision, now); err != nil {
		return nil, err
	}
	id := l.identity(s, now)
	if id.Claims, err = claimsOf(s.IDToken); err != nil {
		return nil, err
	}
	for _, name := range []string{"nonce", "at_hash", "c_hash"} { // Of the login, not of who it is.
		delete(id.Claims, name)
	}
	return id, nil
}

// identity is who a session is, without claims.
func (l *Login) identity(s *session, now time.Time) *usher.Identity {
	end := l.end(s)
	id := &usher.Identity{
		Subject: s.Subject, Issuer: l.options.Issuer, Session: s.Session, Issued: s.Issued,
		Expires: now.Round(0).Add(recheckEvery), Recheck: true,
	}
	if s.Refresh != "" && s.stays(now).Before(id.Expires) {
		id.Expires = s.stays(now)
	}
	if end.Before(id.Expires) {
		id.Expires, id.Recheck = end, false
	}
	return id
}

// advance writes down that a session is used, and asks the provider where that
// is due. It returns the session as it is then.
func (l *Login) advance(ctx context.Context, cookie usher.Secret, s *session, revision uint64, now time.Time) (*session, error) {
	switch {
	case s.Refresh != "" && s.isAsked(now): // By another, whose work must not be undone.
		return s, nil
	case s.Refresh != "" && !now.Before(s.Due):
		return l.refresh(ctx, cookie, s, revision, now)
	case now.Sub(s.Seen) < min(touchEvery, l.options.Idle/4):
		return s, nil
	}
	used := *s
	used.touch(now)
	saved, err := l.save(ctx, cookie, &used, revision)
	if err != nil {
		return nil, err
	}
	if !saved { // Another request of this browser's was first.
		return s, nil
	}
	return &used, nil
}

// touch notes that a session is used.
func (s *session) touch(now time.Time) {
	s.Seen = now.Round(0)
	if known := s.Seen.Add(-hindsight); known.After(s.Issued) {
		s.Issued = known
	}
}
