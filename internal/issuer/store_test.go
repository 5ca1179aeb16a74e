package issuer_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/issuer"
)

// A record is one of a store.
type record struct {
	value    []byte
	revision uint64
	until    time.Time
}

// errDown is what a broken store says.
var errDown = fmt.Errorf("the store is down: %w", usher.ErrUnavailable)

// A store keeps records in memory, and breaks as it is told.
type store struct {
	mu      sync.Mutex
	records map[string]record
	last    uint64
	// broken says what becomes of a call: an error before it, or after it has had
	// its effect. Nil is nothing.
	broken func(op, key string) (before, after error)
	// forgets is how much longer than it should the store keeps a record.
	forgets time.Duration
}

func (s *store) do(op, key string, f func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var before, after error
	if s.broken != nil {
		before, after = s.broken(op, key)
	}
	if before != nil {
		return before
	}
	if r, ok := s.records[key]; ok && !time.Now().Before(r.until.Add(s.forgets)) {
		delete(s.records, key)
	}
	f()
	return after
}

func (s *store) put(key string, value []byte, until time.Time) {
	s.last++
	s.records[key] = record{bytes.Clone(value), s.last, until}
}

func (s *store) Create(_ context.Context, key string, value []byte, until time.Time) (made bool, err error) {
	err = s.do("create", key, func() {
		if _, there := s.records[key]; !there {
			s.put(key, value, until)
			made = true
		}
	})
	return made && err == nil, err
}

func (s *store) Get(_ context.Context, key string) (value []byte, revision uint64, err error) {
	err = s.do("get", key, func() { value, revision = bytes.Clone(s.records[key].value), s.records[key].revision })
	if err != nil {
		return nil, 0, err
	}
	return value, revision, nil
}

func (s *store) Update(_ context.Context, key string, value []byte, revision uint64, until time.Time) (done bool, err error) {
	err = s.do("update", key, func() {
		if r, there := s.records[key]; there && r.revision == revision {
			s.put(key, value, until)
			done = true
		}
	})
	return done && err == nil, err
}

// breaks has the store break from now on; nil mends it.
func (s *store) breaks(f func(op, key string) (before, after error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken = f
}

// copied returns what is in the store, and restore puts it back: as a backup does.
func (s *store) copied() map[string]record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.records)
}

func (s *store) restore(records map[string]record) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.records = maps.Clone(records)
}

// clients are the holders of keys, by id.
type clients struct {
	mu   sync.Mutex
	list map[string]issuer.Client
	down bool
}

// secretOf is a client's secret.
func secretOf(id string) string { return "canary-of-" + id }

func (c *clients) Client(ctx context.Context, id string, secret usher.Secret) (issuer.Client, error) {
	known, err := c.Known(ctx, id)
	if err == nil && !secret.Equal(usher.NewSecret(secretOf(id))) {
		err = issuer.ErrClient
	}
	return known, err
}

func (c *clients) Known(_ context.Context, id string) (issuer.Client, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.list[id]
	switch {
	case c.down:
		return issuer.Client{}, errDown
	case !ok:
		return issuer.Client{}, fmt.Errorf("looked for it: %w", issuer.ErrClient)
	}
	return known, nil
}

func (c *clients) set(id string, change func(*issuer.Client)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known := c.list[id]
	known.ID = id
	change(&known)
	c.list[id] = known
}
