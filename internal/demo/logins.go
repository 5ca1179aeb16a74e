package demo

import (
	"crypto/rand"
	"crypto/sha256"
	"sync"
	"time"
)

// maxLogins bounds what is remembered; at the bound the oldest login ends.
const maxLogins = 1000

// Logins are what cookies and opaque tokens stand for. Only digests of these
// are kept.
type logins struct {
	mu sync.Mutex
	// Guarded by mu.
	byDigest map[[sha256.Size]byte]login
}

type login struct {
	subject string
	session string // Its name in tokens: what one renews is of this login alone.
	expires time.Time
	outage  bool // The application cannot say whose it is.
}

func newLogins() *logins {
	return &logins{byDigest: make(map[[sha256.Size]byte]login)}
}

// start remembers l and returns the text that stands for it.
func (s *logins) start(l login) string {
	value := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.byDigest) >= maxLogins {
		s.dropOldest()
	}
	s.byDigest[sha256.Sum256([]byte(value))] = l
	return value
}

// dropOldest is called with mu held.
func (s *logins) dropOldest() {
	var oldest [sha256.Size]byte
	var when time.Time
	for digest, l := range s.byDigest {
		if when.IsZero() || l.expires.Before(when) {
			oldest, when = digest, l.expires
		}
	}
	delete(s.byDigest, oldest)
}

// end forgets the login that value stands for, if any.
func (s *logins) end(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byDigest, sha256.Sum256([]byte(value)))
}

func (s *logins) find(value string) (login, bool) {
	digest := sha256.Sum256([]byte(value))
	s.mu.Lock()
	defer s.mu.Unlock()
	found, ok := s.byDigest[digest]
	if ok && !time.Now().Before(found.expires) {
		delete(s.byDigest, digest)
		return login{}, false
	}
	return found, ok
}
