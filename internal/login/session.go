package login

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

const (
	sessionPurpose = "usher login: a session"
	sessionPrefix  = "session."
	// cookieLength is the length of rand.Text: 130 bits.
	cookieLength = 26

	// recheckEvery is how long a verdict about a session counts.
	recheckEvery = 5 * time.Minute
	// touchEvery is how often at most it is written down that a session is used.
	touchEvery = time.Minute
	// hindsight is for how long a revocation may be on its way to a node: it
	// counts against sessions that the node has since called good.
	hindsight = time.Minute
	// maxRefresh bounds a refresh token, in bytes.
	maxRefresh = 8 << 10
	// accessLife is how long an access token lives that does not say.
	accessLife = time.Hour
)

// A session is somebody who has logged in. It is kept sealed under the cookie
// itself.
type session struct {
	Subject string    `json:"sub"`
	Session string    `json:"sid"` // The provider's name for it, or ours.
	IDToken string    `json:"id_token"`
	Began   time.Time `json:"began"`
	Seen    time.Time `json:"seen"` // When it was last used, about.
	// Issued is until when it is known not to have been revoked. It moves on with
	// use, or a session could not live longer than revocations are kept.
	Issued time.Time `json:"issued"`

	// The rest is for who has a refresh token.
	Refresh string    `json:"refresh,omitempty"`
	Ends    time.Time `json:"ends,omitzero"`   // When the access token does.
	Due     time.Time `json:"due,omitzero"`    // When to ask for the next.
	Asking  time.Time `json:"asking,omitzero"` // When somebody last began to.
}

// newSession makes a session of the provider's answer.
func newSession(id *idToken, answer *oauth2.Token) (*session, error) {
	now := time.Now().Round(0)
	s := &session{
		Subject: id.claims.String("sub"), Session: id.claims.String("sid"), IDToken: id.raw,
		Began: now, Seen: now, Issued: now,
	}
	if s.Session == "" {
		s.Session = rand.Text()
	}
	for _, r := range []usher.Revocation{{Subject: s.Subject}, {Session: s.Session}} {
		if err := r.Validate(); err != nil { // It could not be taken back.
			return nil, fmt.Errorf("id token: %w", err)
		}
	}
	if err := s.renew(answer, now); err != nil {
		return nil, err
	}
	return s, nil
}

// renew takes over how long the provider lets somebody stay.
func (s *session) renew(answer *oauth2.Token, now time.Time) error {
	if answer.RefreshToken == "" {
		return nil
	}
	if len(answer.RefreshToken) > maxRefresh {
		return errors.New("a refresh token that is too long")
	}
	life := accessLife
	if !answer.Expiry.IsZero() {
		life = answer.Expiry.Sub(now)
	}
	s.Refresh, s.Asking = answer.RefreshToken, time.Time{}
	s.Ends = now.Add(life)
	s.Due = s.Ends.Add(-min(life/4, time.Minute))
	return nil
}

// end is when the session ends, used or not.
func (l *Login) end(s *session) time.Time { return s.Began.Add(l.options.Lifetime) }

// until is when it ends if it is not used any more.
func (l *Login) until(s *session) time.Time {
	end, idle := l.end(s), s.Seen.Add(l.options.Idle)
	if idle.Before(end) {
		return idle
	}
	return end
}

// keyOf is where the session of a cookie is kept.
func keyOf(cookie usher.Secret) string {
	sum := sha256.Sum256([]byte(sessionPurpose + "\x00" + cookie.Reveal()))
	return sessionPrefix + text64.EncodeToString(sum[:])
}

// isCookie reports whether a text could be a session's cookie.
func isCookie(text string) bool {
	return len(text) == cookieLength && strings.Trim(text, textLetters) == ""
}

// open keeps a new session, and returns the cookie that it is found by.
func (l *Login) open(ctx context.Context, s *session) (usher.Secret, error) {
	cookie := usher.NewSecret(rand.Text())
	sealed, err := sealSession(cookie, s)
	if err != nil {
		return usher.Secret{}, err
	}
	made, err := l.options.Sessions.Create(ctx, keyOf(cookie), sealed, l.until(s))
	if err != nil {
		return usher.Secret{}, fmt.Errorf("keep session: %w", err)
	}
	if !made {
		return usher.Secret{}, errors.New("keep session: there is one with this cookie")
	}
	return cookie, nil
}

// load returns the session of a cookie, with its revision; nil where there is
// none.
func (l *Login) load(ctx context.Context, cookie usher.Secret) (*session, uint64, error) {
	sealed, revision, err := l.options.Sessions.Get(ctx, keyOf(cookie))
	if err != nil {
		return nil, 0, fmt.Errorf("find session: %w", err)
	}
	if sealed == nil {
		return nil, 0, nil
	}
	plain, err := unseal(cookie, sessionPurpose, keyOf(cookie), sealed)
	if err != nil {
		return nil, 0, fmt.Errorf("find session: %w", err)
	}
	var s session
	if err := json.Unmarshal(plain, &s); err != nil {
		return nil, 0, errors.New("find session: malformed")
	}
	return &s, revision, nil
}

// save replaces a session that has a revision still.
func (l *Login) save(ctx context.Context, cookie usher.Secret, s *session, revision uint64) (bool, error) {
	sealed, err := sealSession(cookie, s)
	if err != nil {
		return false, err
	}
	saved, err := l.options.Sessions.Update(ctx, keyOf(cookie), sealed, revision, l.until(s))
	if err != nil {
		return false, fmt.Errorf("keep session: %w", err)
	}
	return saved, nil
}

func sealSession(cookie usher.Secret, s *session) ([]byte, error) {
	plain, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("keep session: %w", err)
	}
	return seal(cookie, sessionPurpose, keyOf(cookie), plain)
}

// close ends a session and its connections, on all nodes.
func (l *Login) close(ctx context.Context, cookie usher.Secret, s *session, reason string) error {
	removeErr := l.options.Sessions.Remove(ctx, keyOf(cookie))
	_, err := l.options.Live.Revoke(ctx, usher.Revocation{Issuer: l.options.Issuer, Session: s.Session, Reason: reason})
	return errors.Join(removeErr, err)
}
