package engine

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"time"
)

// mendPause is how long it takes until a write that failed is tried again.
const mendPause = time.Second

// A mender writes revocations back that the store has lost before their time, as
// a cluster does that loses its disks: the nodes that run remember them, and one
// that starts afterwards would not.
type mender struct {
	write func(ctx context.Context, key string, r keptRevocation) error
	log   *slog.Logger

	mu sync.Mutex
	// Guarded by mu.
	kept map[string]keptRevocation // Of which the store has told, by key.
	lost map[string]keptRevocation
	// How many of kept name a token.
	tokens int64
	// The goroutine that writes back, or nil.
	busy chan struct{}
}

// A keptRevocation is one as the store has it.
type keptRevocation struct {
	text  []byte
	until time.Time
}

func newMender(write func(context.Context, string, keptRevocation) error, log *slog.Logger) *mender {
	return &mender{
		write: write, log: log, kept: make(map[string]keptRevocation), lost: make(map[string]keptRevocation),
	}
}

// has notes what the store has told of.
func (m *mender) has(key string, r keptRevocation) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.kept[key]; !ok && strings.HasPrefix(key, tokenKey) {
		m.tokens++
	}
	m.kept[key] = r
	delete(m.lost, key)
}

// count returns how many there are, and how many of them name a token.
func (m *mender) count() (all, tokens int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return int64(len(m.kept)), m.tokens
}

// removed notes that the store has it no more, and has it written back if its
// time is not over, until ctx ends.
func (m *mender) removed(ctx context.Context, key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.kept[key]
	if ok && strings.HasPrefix(key, tokenKey) {
		m.tokens--
	}
	delete(m.kept, key)
	// The store ends what is over with the second, by its own clock.
	if !ok || time.Until(r.until) < mendPause {
		return
	}
	m.lost[key] = r
	if m.busy == nil {
		m.log.Warn("the store has lost revocations; they are written back")
		m.busy = make(chan struct{})
		go m.mend(ctx, m.busy)
	}
}

// mend writes back until nothing is lost.
func (m *mender) mend(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	for {
		key, r, ok := m.next()
		if !ok {
			return
		}
		err := m.write(ctx, key, r)
		if err == nil || !time.Now().Before(r.until) {
			m.found(key)
			continue
		}
		m.log.Debug("revocation not written back yet", slog.Any("error", err))
		select {
		case <-ctx.Done():
			return
		case <-time.After(mendPause):
		}
	}
}

// next returns one that is lost; without any, mend is over.
func (m *mender) next() (key string, r keptRevocation, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r = range m.lost {
		return key, r, true
	}
	m.busy = nil
	return "", keptRevocation{}, false
}

func (m *mender) found(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.lost, key)
}

// wait returns when nothing is written any more. The context must have ended.
func (m *mender) wait() {
	m.mu.Lock()
	busy := m.busy
	m.mu.Unlock()
	if busy != nil {
		<-busy
	}
}
