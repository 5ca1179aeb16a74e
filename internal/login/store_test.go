package login_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
)

// A store is a login.Store in memory. All nodes of a test may share it.
type store struct {
	mu sync.Mutex
	// Guarded by mu.
	records map[string]record
	last    uint64
	down    bool
	writes  int
}

type record struct {
	value    []byte
	revision uint64
	until    time.Time
}

func newStore() *store { return &store{records: make(map[string]record)} }

// enter locks the store. Its error is that of one that cannot be reached.
func (s *store) enter() error {
	s.mu.Lock()
	if s.down {
		s.mu.Unlock()
		return fmt.Errorf("store: %w", usher.ErrUnavailable)
	}
	for key, r := range s.records {
		if !time.Now().Before(r.until) {
			delete(s.records, key)
		}
	}
	return nil
}

func (s *store) put(key string, value []byte, until time.Time) {
	s.last++
	s.writes++
	s.records[key] = record{bytes.Clone(value), s.last, until}
}

func (s *store) Create(_ context.Context, key string, value []byte, until time.Time) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	if _, there := s.records[key]; there {
		return false, nil
	}
	s.put(key, value, until)
	return true, nil
}

func (s *store) Get(_ context.Context, key string) ([]byte, uint64, error) {
	if err := s.enter(); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	r := s.records[key]
	return bytes.Clone(r.value), r.revision, nil
}

func (s *store) Update(_ context.Context, key string, value []byte, revision uint64, until time.Time) (bool, error) {
	if err := s.enter(); err != nil {
		return false, err
	}
	defer s.mu.Unlock()
	if r, there := s.records[key]; !there || r.revision != revision {
		return false, nil
	}
	s.put(key, value, until)
	return true, nil
}

func (s *store) Remove(_ context.Context, key string) error {
	if err := s.enter(); err != nil {
		return err
	}
	defer s.mu.Unlock()
	delete(s.records, key)
	return nil
}

func (s *store) setDown(down bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.down = down
}

// sessions is how many there are.
func (s *store) sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for key := range s.records {
		if strings.HasPrefix(key, "session.") {
			n++
		}
	}
	return n
}

// has reports whether a text stands anywhere in the store.
func (s *store) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, r := range s.records {
		if strings.Contains(key, text) || bytes.Contains(r.value, []byte(text)) {
			return true
		}
	}
	return false
}
