package engine

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// What a bucket in memory holds at most, keys and values together.
const memoryBytes = 64 << 20

// memory is the store of one process. There are no other nodes.
type memory struct {
	maxBytes int64

	mu sync.Mutex
	// Guarded by mu.
	buckets map[string]*memoryBucket
}

// newMemory returns a store whose buckets hold maxBytes each. Default: 64 MiB.
func newMemory(maxBytes int64) *memory {
	if maxBytes <= 0 {
		maxBytes = memoryBytes
	}
	return &memory{maxBytes: maxBytes, buckets: make(map[string]*memoryBucket)}
}

func (m *memory) bucket(_ context.Context, name string, _ bucketKind) (bucket, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, ok := m.buckets[name]
	if !ok {
		b = newMemoryBucket(m.maxBytes)
		m.buckets[name] = b
	}
	return b, nil
}

func (*memory) ask(context.Context, string, []byte, func([]byte)) error { return nil }

func (*memory) serve(string, func([]byte) []byte) (stop func(), err error) { return func() {}, nil }

func (*memory) check(context.Context) error { return nil }

func (*memory) down() (time.Time, error) { return time.Time{}, nil }

func (m *memory) close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, b := range m.buckets {
		b.close()
	}
	return nil
}

var errMemoryFull = fmt.Errorf("%w: the bound of what is kept in memory is reached", errFull)
