package demo

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/usher-ws/usher"
)

// A user of the demo. The passwords are printed on the page.
type user struct {
	name     string
	password string
	banned   bool
}

var users = map[string]user{
	"alice":   {name: "Alice", password: "looking-glass"},
	"bob":     {name: "Bob", password: "can-we-fix-it"},
	"mallory": {name: "Mallory", password: "let-me-in", banned: true},
}

const (
	sessionCookie = "session"
	themeCookie   = "theme" // A cookie that is no credential: it passes the Guard.
	sessionTTL    = time.Hour
	maxSessions   = 1000 // At the bound the oldest login ends.
)

// errBanned is what verifiers say of a user who is known and not wanted.
var errBanned = fmt.Errorf("user is banned: %w", usher.ErrForbidden)

// Sessions are the logins that a cookie stands for. Only digests of the
// cookies are kept.
type sessions struct {
	mu sync.Mutex
	// Guarded by mu.
	byDigest map[[sha256.Size]byte]session
}

type session struct {
	subject string
	expires time.Time
}

func newSessions() *sessions {
	return &sessions{byDigest: make(map[[sha256.Size]byte]session)}
}

// start makes a login for subject and returns its cookie.
func (s *sessions) start(subject string) *http.Cookie {
	value := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byDigest) >= maxSessions {
		s.dropOldest()
	}
	s.byDigest[sha256.Sum256([]byte(value))] = session{subject, time.Now().Add(sessionTTL)}
	return &http.Cookie{
		Name: sessionCookie, Value: value, Path: "/",
		MaxAge: int(sessionTTL / time.Second), HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// dropOldest is called with mu held.
func (s *sessions) dropOldest() {
	var oldest [sha256.Size]byte
	var when time.Time
	for digest, session := range s.byDigest {
		if when.IsZero() || session.expires.Before(when) {
			oldest, when = digest, session.expires
		}
	}
	delete(s.byDigest, oldest)
}

// end ends the login that the request's cookie stands for, if any, and returns
// the cookie that makes the browser forget it.
func (s *sessions) end(r *http.Request) *http.Cookie {
	if c, err := r.Cookie(sessionCookie); err == nil {
		s.mu.Lock()
		delete(s.byDigest, sha256.Sum256([]byte(c.Value)))
		s.mu.Unlock()
	}
	return &http.Cookie{Name: sessionCookie, Path: "/", MaxAge: -1, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (s *sessions) find(value string) (session, bool) {
	digest := sha256.Sum256([]byte(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byDigest[digest]
	if ok && !time.Now().Before(found.expires) {
		delete(s.byDigest, digest)
		ok = false
	}
	return found, ok
}

// who returns the subject that the request's cookie stands for, or "".
func (s *sessions) who(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	found, _ := s.find(c.Value)
	return found.subject
}

// Verify judges a session cookie. It is the usher.Verifier of the cookie
// carrier.
func (s *sessions) Verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	found, ok := s.find(c.Secret.Reveal())
	if !ok {
		return nil, errors.New("no such session")
	}
	if users[found.subject].banned {
		return nil, errBanned
	}
	return &usher.Identity{
		Subject: found.subject,
		Expires: found.expires,
		Claims:  usher.Claims{"name": users[found.subject].name},
	}, nil
}

// passwordCheck is how soon a password is judged again.
const passwordCheck = time.Hour

// verifyPassword judges Basic. Passwords that people choose belong in an
// htpasswd file; the demo's are printed on its page.
func verifyPassword(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	u, known := users[c.Username]
	right := c.Secret.Equal(usher.NewSecret(u.password))
	switch {
	case c.Kind != usher.KindPassword:
		return nil, usher.ErrUnrecognized
	case !known || !right:
		return nil, errors.New("wrong user or password")
	case u.banned:
		return nil, errBanned
	}
	return &usher.Identity{
		Subject: c.Username,
		Expires: time.Now().Add(passwordCheck),
		Recheck: true,
		Claims:  usher.Claims{"name": u.name},
	}, nil
}
