package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/issuer"
)

// clients are the API keys, as the issuer sees them.
type clients struct{ *kept }

// Client implements [issuer.Clients].
func (c clients) Client(_ context.Context, id string, secret usher.Secret) (issuer.Client, error) {
	return asClient(c.engine.Keys().VerifyClient(id, secret))
}

// Known implements [issuer.Clients].
func (c clients) Known(_ context.Context, id string) (issuer.Client, error) {
	return asClient(c.engine.Keys().Usable(id))
}

func asClient(k engine.Key, err error) (issuer.Client, error) {
	if errors.Is(err, engine.ErrBadKey) {
		return issuer.Client{}, fmt.Errorf("%w: %w", issuer.ErrClient, err)
	}
	if err != nil {
		return issuer.Client{}, err
	}
	p, err := k.Permissions()
	if err != nil {
		return issuer.Client{}, fmt.Errorf("api key %s: %w", k.ID, err)
	}
	return issuer.Client{
		ID: k.ID, Tokens: k.Allows(engine.MayTokens), Exchange: k.Allows(engine.MayExchange),
		Introspect: k.Allows(engine.MayIntrospect), Permissions: p, Audiences: k.Audiences,
	}, nil
}

// signingKeys are those of the engine, as the issuer sees them.
type signingKeys struct{ *kept }

// A signingList is what the issuer sees of one slice of the engine's.
type signingList struct {
	from []engine.SigningKey
	keys []issuer.SigningKey
}

// Keys implements [issuer.Signing].
func (s signingKeys) Keys() []issuer.SigningKey {
	signing := s.tokens.signing.Load()
	if signing == nil { // Nobody is served before it is there.
		return nil
	}
	from := signing.Keys()
	if last := s.tokens.signs.Load(); last != nil && len(last.from) == len(from) && &last.from[0] == &from[0] {
		return last.keys
	}
	list := &signingList{from: from}
	for _, k := range from {
		list.keys = append(list.keys, issuer.SigningKey{ID: k.ID, Algorithm: k.Algorithm, Private: k.Private})
	}
	s.tokens.signs.Store(list)
	return list.keys
}

// families are the records of refresh tokens, which are opened with the engine.
type families struct{ *kept }

// open returns the records; nobody is served before they are there.
func (f families) open() (*engine.Records, error) {
	if opened := f.tokens.families.Load(); opened != nil {
		return opened, nil
	}
	return nil, fmt.Errorf("refresh tokens: %w: not open", usher.ErrUnavailable)
}

// Create implements [issuer.Store].
func (f families) Create(ctx context.Context, key string, value []byte, until time.Time) (bool, error) {
	opened, err := f.open()
	if err != nil {
		return false, err
	}
	return opened.Create(ctx, key, value, until)
}

// Get implements [issuer.Store].
func (f families) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	opened, err := f.open()
	if err != nil {
		return nil, 0, err
	}
	return opened.Get(ctx, key)
}

// Update implements [issuer.Store].
func (f families) Update(ctx context.Context, key string, value []byte, revision uint64, until time.Time) (bool, error) {
	opened, err := f.open()
	if err != nil {
		return false, err
	}
	return opened.Update(ctx, key, value, revision, until)
}
