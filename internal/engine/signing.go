package engine

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// signingKey is where the signing keys are, in the bucket of the secrets.
	signingKey = "signing"
	// SigningSettle is how long before it signs its first token a new key is
	// published: longer than anybody may keep the old set.
	SigningSettle = 10 * time.Minute
	// maxSigningKeys bounds how many there are at once.
	maxSigningKeys = 16
)

var (
	// ErrNoSigningKey is the error of a change to a key that does not exist.
	ErrNoSigningKey = errors.New("no such signing key")
	// ErrManySigningKeys is the error of a rotation while as many old keys as there
	// may be are published still.
	ErrManySigningKeys = fmt.Errorf("there are %d signing keys, which is the bound: wait until old ones have ended, or remove some", maxSigningKeys)
)

// SigningOptions say how keys are made. Those of all nodes should be the same: of
// different ones each holds for the keys that its node makes.
type SigningOptions struct {
	// Algorithm is "ES256" or "EdDSA", for keys that are made from now on.
	Algorithm string
	// Every is how long a key signs.
	Every time.Duration
	// Life is how long a token is good at most.
	Life time.Duration
}

// A SigningKey is a key that access tokens are signed with.
type SigningKey struct {
	// ID is its "kid".
	ID string
	// Algorithm is "ES256" or "EdDSA".
	Algorithm string
	// Private is an *[crypto/ecdsa.PrivateKey] on P-256, or an
	// [crypto/ed25519.PrivateKey].
	Private crypto.Signer
	// Created is when it was made, and From when it signs its first token.
	Created, From time.Time
	// Until is when its last token has expired, and it is published no more. Zero
	// as long as no other key takes its place.
	Until time.Time
}

// Signing has the signing keys of the site. The first node makes one, and they
// rotate by themselves: a new key is published 10 minutes before it signs, and the
// one before it until its last token has expired. All nodes sign with the same.
type Signing struct {
	shared *siteRecord[signingRecord]
	view   atomic.Pointer[signingView]

	mu sync.Mutex
	// Guarded by mu.
	options SigningOptions
	record  signingRecord
}

// A signingView is what a record means for a while.
type signingView struct {
	keys  []SigningKey
	until time.Time // Zero: until the record changes.
}

// Signing returns the signing keys of the site, and makes one where there is none.
// ctx is for the time until they have been read.
func (e *Engine) Signing(ctx context.Context, o SigningOptions) (*Signing, error) {
	s, err := newSigning(ctx, e.shared, e.vault, e.log, o)
	if err != nil {
		return nil, err
	}
	e.opened(s.close)
	return s, nil
}

func newSigning(ctx context.Context, b bucket, v *vault, log *slog.Logger, o SigningOptions) (*Signing, error) {
	s := &Signing{options: o}
	if _, err := newSigningKey(o.Algorithm); err != nil { // Now, and not when the first is made.
		return nil, err
	}
	var err error
	s.shared, err = openSiteRecord(ctx, b, v, log, form[signingRecord]{
		name: signingKey, what: "the signing keys", fresh: s.fresh, due: s.due,
		encode: signingRecord.encode, decode: decodeSigning, use: s.take,
	})
	if err != nil {
		return nil, err
	}
	if err := s.raise(ctx, o.Life); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// Use changes the options. Tokens may have a longer life only after it has
// returned: then all nodes publish the keys for that long. Where they may not, it
// asks no network.
func (s *Signing) Use(ctx context.Context, o SigningOptions) error {
	if _, err := newSigningKey(o.Algorithm); err != nil {
		return err
	}
	if o.Life > s.current().Life {
		if err := s.raise(ctx, o.Life); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.options = o
	return nil
}

// raise has the keys published for as long as tokens of this life are good.
func (s *Signing) raise(ctx context.Context, life time.Duration) error {
	return s.shared.change(ctx, func(r signingRecord, now time.Time) (signingRecord, bool, error) {
		next, changed := r.raised(life, now)
		return next, changed, nil
	})
}

func (s *Signing) close() { s.shared.close() }

func (s *Signing) current() SigningOptions {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.options
}

func (s *Signing) fresh(now time.Time) signingRecord {
	o := s.current()
	return signingRecord{}.with(mustSigningKey(o, now, now))
}

func (s *Signing) due(r signingRecord, now time.Time) (signingRecord, bool) {
	return r.rotated(s.current(), now)
}

// take takes a record into use.
func (s *Signing) take(r signingRecord, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.record = r
	s.look(now)
	return nil
}

// look makes the view anew. mu is held.
func (s *Signing) look(now time.Time) {
	keys, until := s.record.view(now)
	s.view.Store(&signingView{keys, until})
}

// Keys returns all keys that are published, that which signs first. It asks no
// network. Nobody changes the result, which is the same slice until something has
// changed.
func (s *Signing) Keys() []SigningKey {
	v, now := s.view.Load(), time.Now()
	if v.until.IsZero() || now.Before(v.until) {
		return v.keys
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.look(now)
	return s.view.Load().keys
}

// Rotate makes a new key, which signs after some time: SigningSettle, so that
// whoever has the old set fetches the new one before, or less where the old key is
// not to be trusted. A new key that waits for its turn already is not made again,
// but may have it sooner. It returns the key that signs next.
func (s *Signing) Rotate(ctx context.Context, after time.Duration) (SigningKey, error) {
	var id string
	err := s.shared.change(ctx, func(r signingRecord, now time.Time) (signingRecord, bool, error) {
		next, changed, err := r.next(s.current(), now, after)
		if err == nil {
			id = next.Keys[0].ID
		}
		return next, changed, err
	})
	if err != nil {
		return SigningKey{}, fmt.Errorf("rotate signing keys: %w", err)
	}
	for _, k := range s.Keys() {
		if k.ID == id {
			return k, nil
		}
	}
	return SigningKey{}, fmt.Errorf("rotate signing keys: %w", ErrNoSigningKey) // Another node has removed it since.
}

// Remove ends a key at once: what it has signed is refused from now on. Where it is
// the one that signs, the next has its turn now, or a new one is made. Its error is
// ErrNoSigningKey where there is none with this id.
func (s *Signing) Remove(ctx context.Context, id string) error {
	err := s.shared.change(ctx, func(r signingRecord, now time.Time) (signingRecord, bool, error) {
		next, ok := r.without(id, s.current(), now)
		if !ok {
			return r, false, ErrNoSigningKey
		}
		return next, true, nil
	})
	if err != nil {
		return fmt.Errorf("remove signing key: %w", err)
	}
	return nil
}
