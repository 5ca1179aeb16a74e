package usher

import (
	"crypto/sha256"
	"sync"
)

// A tokenCache remembers what is known of good tokens, so that who comes back
// with the same one costs a hash. It has digests of tokens, never tokens, and
// only of good ones, so that no flood of bad ones pushes anything out. The zero
// value is ready.
//
// Entries are in two halves. When the young one is full it becomes the old one,
// whose entries are forgotten but for those that were asked for meanwhile.
type tokenCache[T any] struct {
	mu sync.Mutex
	// Guarded by mu.
	young, old map[[sha256.Size]byte]*T
}

func (c *tokenCache[T]) find(sum [sha256.Size]byte, most int) *T {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.young[sum]; ok {
		return known
	}
	known, ok := c.old[sum]
	if ok {
		c.keep(sum, known, most)
	}
	return known
}

func (c *tokenCache[T]) add(sum [sha256.Size]byte, known *T, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(sum, known, most)
}

// keep puts an entry into the young half. Callers hold mu.
func (c *tokenCache[T]) keep(sum [sha256.Size]byte, known *T, most int) {
	if c.young == nil || len(c.young) >= max(most/2, 1) {
		c.young, c.old = make(map[[sha256.Size]byte]*T), c.young
	}
	c.young[sum] = known
}

func (c *tokenCache[T]) forget(sum [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, sum)
	delete(c.old, sum)
}
