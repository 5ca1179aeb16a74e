package engine

import (
	"context"
	"crypto/rand"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// secretsBucket and secretsKey are where the secrets are.
	secretsBucket, secretsKey = "secrets", "site"
	// rotateEvery is how long a key seals tickets.
	rotateEvery = 24 * time.Hour
	// settleTime is how long before it seals its first a new key is known, so
	// that every node can open what another one sealed.
	settleTime = time.Minute
	// retireTime is how long a key opens tickets after its last: longer than any
	// ticket lives.
	retireTime = 15 * time.Minute
	secretSize = 32
)

// Secrets are what all nodes of a site seal and sign with: the keys of tickets,
// which rotate by themselves, and those of CSRF tokens, refresh tokens, cookies of
// logins and records, which do not. The first node makes them, the others read
// them; an embedded store keeps them over a restart.
type Secrets struct {
	shared *siteRecord[secretsRecord]
	log    *slog.Logger
	csrf   usher.Secret // Immutable after newSecrets.

	mu sync.Mutex
	// Guarded by mu.
	tickets []usher.Secret
	use     func(...usher.Secret) error
	root    usher.Secret
	heard   usher.Secret // The key of CSRF tokens that the store has.
}

// newSecrets reads the secrets in b, or makes them. ctx is for the time until they
// have been read.
func newSecrets(ctx context.Context, b bucket, v *vault, log *slog.Logger) (*Secrets, error) {
	s := &Secrets{log: log}
	var err error
	s.shared, err = openSiteRecord(ctx, b, v, log, form[secretsRecord]{
		name: secretsKey, what: "the site's secrets", fresh: newSecretsRecord, due: secretsRecord.rotated,
		encode: secretsRecord.encode, decode: decodeSecrets, use: s.take,
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// UseTickets gives use the keys for tickets, now and whenever they change, until
// the engine is closed: the first is to seal with, all open. See
// [usher.Tickets.Rotate].
func (s *Secrets) UseTickets(use func(...usher.Secret) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.use = use
	return use(s.tickets...)
}

// CSRF returns the key of CSRF tokens: see [usher.CSRF.Key].
func (s *Secrets) CSRF() usher.Secret { return s.csrf }

// Refresh returns what refresh tokens are made with.
func (s *Secrets) Refresh() usher.Secret { return s.derived("usher refresh tokens") }

// Login returns what the cookies of logins under way are sealed with.
func (s *Secrets) Login() usher.Secret { return s.derived("usher login cookies") }

// derived returns the secret for one purpose.
func (s *Secrets) derived(purpose string) usher.Secret {
	s.mu.Lock()
	root := s.root
	s.mu.Unlock()
	key, err := derive(root, purpose, secretSize)
	if err != nil {
		panic(err) // HKDF fails for keys of many times this size only.
	}
	return usher.NewSecret(string(key))
}

// close ends the updates. The keys that are in use stay good.
func (s *Secrets) close() { s.shared.close() }

// take takes a record into use.
func (s *Secrets) take(r secretsRecord, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	csrf := usher.NewSecret(string(r.CSRF))
	switch {
	case s.csrf.Empty():
		s.csrf = csrf
	case !csrf.Equal(s.heard):
		s.log.Warn("the key of csrf tokens was made anew; this node has the old one until a restart")
	}
	s.heard = csrf
	s.root = usher.NewSecret(string(r.Root))
	keys := r.keys(now)
	if slices.EqualFunc(keys, s.tickets, usher.Secret.Equal) {
		return nil
	}
	s.tickets = keys
	if s.use == nil {
		return nil
	}
	return s.use(keys...)
}

func newSecret() []byte {
	key := make([]byte, secretSize)
	rand.Read(key) // Never fails: it ends the process instead.
	return key
}
