package login

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

// askingTime is how long one of all nodes has to ask the provider for the next
// tokens. Meanwhile the others let the session be: a refresh token that is used
// twice looks stolen to many providers.
const askingTime = 10 * time.Second

// isAsked reports whether somebody is asking the provider.
func (s *session) isAsked(now time.Time) bool { return now.Before(s.Asking.Add(askingTime)) }

// stays is until when the provider lets somebody stay, as far as is known.
func (s *session) stays(now time.Time) time.Time {
	if asked := s.Asking.Add(askingTime); s.isAsked(now) && asked.After(s.Ends) {
		return asked
	}
	return s.Ends
}

// refresh asks the provider whether somebody may stay (RFC 6749 §6). Where it
// says no, the session ends, and so do its connections.
func (l *Login) refresh(ctx context.Context, cookie usher.Secret, s *session, revision uint64, now time.Time) (*session, error) {
	asking := *s
	asking.touch(now)
	asking.Asking = now.Round(0)
	claimed, err := l.save(ctx, cookie, &asking, revision)
	switch {
	case err != nil:
		return nil, err
	case !claimed: // Another request of this browser's was first, on some node.
		return l.reload(ctx, cookie, now)
	}
	// From here on it does not matter whether the client waits: the provider may
	// have replaced the refresh token, and nobody else has the new one.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), askingTime*4/5)
	defer cancel()
	fresh, err := l.renewed(ctx, &asking)
	switch {
	case err == nil:
		l.options.Log.Debug("may stay", "subject", s.Subject, "session", s.Session)
		return fresh, l.replace(ctx, cookie, fresh)
	case errors.Is(err, usher.ErrUnavailable):
		asking.Asking = time.Time{} // Others may try.
		if replaceErr := l.replace(ctx, cookie, &asking); replaceErr != nil || now.Before(s.Ends) {
			return &asking, replaceErr
		}
		return nil, err
	}
	if closeErr := l.close(ctx, cookie, s, "ended at the provider"); closeErr != nil {
		return nil, closeErr
	}
	return nil, fmt.Errorf("%w: %w", usher.ErrExpired, err)
}

// reload returns a session that another has just changed.
func (l *Login) reload(ctx context.Context, cookie usher.Secret, now time.Time) (*session, error) {
	s, _, err := l.load(ctx, cookie)
	switch {
	case err != nil:
		return nil, err
	case s == nil:
		return nil, errNoSession
	case s.Refresh != "" && !now.Before(s.stays(now)):
		return nil, fmt.Errorf("%w: the provider is being asked", usher.ErrUnavailable)
	}
	return s, nil
}

// renewed asks the provider, and returns the session with what it answers.
func (l *Login) renewed(ctx context.Context, s *session) (*session, error) {
	p, err := l.provider.get(ctx)
	if err != nil {
		return nil, err
	}
	leave, err := l.provider.inside.take()
	if err != nil {
		return nil, err
	}
	answer, err := p.oauth.TokenSource(l.provider.context(ctx), &oauth2.Token{RefreshToken: s.Refresh}).Token()
	leave()
	if err != nil {
		return nil, l.exchangeError(err)
	}
	fresh := *s
	if raw, _ := answer.Extra("id_token").(string); raw != "" {
		id, err := l.idToken(ctx, answer)
		if err != nil {
			return nil, err
		}
		// OpenID Connect Core §12.2. The issuer was looked at.
		if id.claims.String("sub") != s.Subject {
			return nil, errors.New("the provider now names another subject")
		}
		fresh.IDToken = id.raw
	}
	if err := fresh.renew(answer, time.Now().Round(0)); err != nil {
		return nil, err
	}
	return &fresh, nil
}

// replace keeps what came of asking. While somebody asks, nobody else writes.
func (l *Login) replace(ctx context.Context, cookie usher.Secret, s *session) error {
	now, revision, err := l.load(ctx, cookie)
	switch {
	case err != nil:
		return err
	case now == nil: // It was ended meanwhile.
		return errNoSession
	}
	saved, err := l.save(ctx, cookie, s, revision)
	if err == nil && !saved {
		err = fmt.Errorf("keep session: %w: it was changed meanwhile", usher.ErrUnavailable)
	}
	return err
}
