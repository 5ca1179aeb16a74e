package engine

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
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
	// tendEvery is how often a node looks after the secrets, and tendTime how
	// long the store has for it.
	tendEvery, tendTime = time.Minute, 5 * time.Second
	// secretsTries bounds how often Secrets tries to be the first.
	secretsTries = 8
	secretSize   = 32
)

// Secrets are what all nodes of a site seal and sign with: the keys of tickets,
// which rotate by themselves, and that of CSRF tokens. The first node makes them,
// the others read them; an embedded store keeps them over a restart. They are in
// the store as they are: whoever can read it can make tickets for anybody.
type Secrets struct {
	// Immutable after Engine.Secrets.
	bucket bucket
	log    *slog.Logger
	use    func(...usher.Secret) error
	csrf   usher.Secret
	stop   func()

	mu sync.Mutex
	// Guarded by mu.
	record   secretsRecord
	revision uint64
	since    time.Time // Of the bucket that revision is of.
}

// Secrets returns the secrets of the site, and makes them where there are none.
// Until Close it gives use the keys for tickets, now and whenever they change:
// the first is to seal with, all open. See [usher.Tickets.Rotate]. ctx is for the
// time until they have been read.
func (e *Engine) Secrets(ctx context.Context, use func(...usher.Secret) error) (*Secrets, error) {
	b, err := e.store.bucket(ctx, secretsBucket, watched)
	if err != nil {
		return nil, unreachable("open secrets", err)
	}
	return newSecrets(ctx, b, e.log, use)
}

func newSecrets(ctx context.Context, b bucket, log *slog.Logger, use func(...usher.Secret) error) (*Secrets, error) {
	s := &Secrets{bucket: b, log: log, use: use}
	if err := s.find(ctx); err != nil {
		return nil, err
	}
	s.csrf = usher.NewSecret(string(s.record.CSRF))
	unwatch, err := b.watch(ctx, s.hear)
	if err != nil {
		return nil, unreachable("watch secrets", err)
	}
	running, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.tendUntil(running)
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		unwatch()
	})
	return s, nil
}

// CSRF returns the key of CSRF tokens: see [usher.CSRF.Key]. It does not rotate.
func (s *Secrets) CSRF() usher.Secret { return s.csrf }

// Close ends the updates. The keys that are in use stay good.
func (s *Secrets) Close() { s.stop() }

// find reads the secrets, or makes them.
func (s *Secrets) find(ctx context.Context) error {
	for range secretsTries {
		e, err := s.bucket.get(ctx, secretsKey)
		if err == nil {
			r, err := decodeSecrets(e.value)
			if err != nil {
				return fmt.Errorf("read secrets: %w", err)
			}
			return s.adopt(r, e.revision, time.Now())
		}
		if !errors.Is(err, errNotFound) {
			return unreachable("read secrets", err)
		}
		r := newSecretsRecord(time.Now())
		revision, err := s.bucket.create(ctx, secretsKey, r.encode(), 0)
		switch {
		case err == nil:
			return s.adopt(r, revision, time.Now())
		case !errors.Is(err, errExists): // Another node was faster.
			return unreachable("make secrets", err)
		}
	}
	return unreachable("make secrets", errExists)
}

// hear takes what another node has changed.
func (s *Secrets) hear(e entry) {
	if e.key != secretsKey || e.removed {
		return
	}
	r, err := decodeSecrets(e.value)
	if err == nil {
		err = s.adopt(r, e.revision, time.Now())
	}
	if err != nil {
		s.log.Error("the site's secrets cannot be read; the last ones stay in use", "error", err)
	}
}

// adopt takes a record into use unless a later one is.
func (s *Secrets) adopt(r secretsRecord, revision uint64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.bucket.since()
	if since.Equal(s.since) && revision <= s.revision {
		return nil
	}
	if s.revision > 0 && !slices.Equal(r.CSRF, s.record.CSRF) {
		s.log.Warn("the key of csrf tokens was made anew; this node has the old one until a restart")
	}
	s.record, s.revision, s.since = r, revision, since
	return s.use(s.record.keys(now)...)
}

// tendUntil looks after the secrets until ctx ends.
func (s *Secrets) tendUntil(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		each, cancel := context.WithTimeout(ctx, tendTime)
		if err := s.tend(each, time.Now()); err != nil {
			s.log.Debug("the site's secrets were not looked after", "error", err)
		}
		cancel()
	}
}

// tend puts the secrets back where the store has lost them, rotates the keys when
// their time has come, and has the tickets sealed with the key whose turn it is.
func (s *Secrets) tend(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	r, revision := s.record, s.revision
	err := s.use(r.keys(now)...) // A key's turn comes without a change.
	s.mu.Unlock()
	if err != nil {
		return err
	}
	e, err := s.bucket.get(ctx, secretsKey)
	switch {
	case errors.Is(err, errNotFound):
		revision, err = s.bucket.create(ctx, secretsKey, r.encode(), 0)
	case err != nil:
		return err
	case e.revision != revision:
		s.hear(e)
		return nil // The next time will do.
	default:
		next := r.rotated(now)
		if next == nil {
			return nil
		}
		r = *next
		revision, err = s.bucket.update(ctx, secretsKey, r.encode(), revision, 0)
	}
	if errors.Is(err, errExists) || errors.Is(err, errConflict) {
		return nil // Another node did it, and this one hears of it.
	}
	if err != nil {
		return err
	}
	return s.adopt(r, revision, now)
}

func newSecret() []byte {
	key := make([]byte, secretSize)
	rand.Read(key) // Never fails: it ends the process instead.
	return key
}
