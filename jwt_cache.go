package usher

import (
	"crypto"
	"crypto/sha256"
	"sync"
)

const defaultJWTCache = 10_000

// A jwtCache remembers tokens whose signature was good, so that who comes back
// with the same one costs a hash: checking a signature is most of the work of a
// handshake. It has digests of tokens, never tokens, and only of good ones, so
// that no flood of bad ones pushes anything out. The zero value is ready.
//
// Entries are in two halves. When the young one is full it becomes the old one,
// whose entries are forgotten but for those that were asked for meanwhile.
type jwtCache struct {
	mu sync.Mutex
	// Guarded by mu.
	young, old map[[sha256.Size]byte]*knownJWT
}

// A knownJWT is what is known of a token whose signature was good. Its claims are
// kept as they came: decoded they are many small objects, which ten thousand
// times over keep a garbage collector busier than decoding them again does.
type knownJWT struct {
	payload []byte
	keyID   string // Of its header.
	key     Key    // That has signed it.
}

func (c *jwtCache) find(sum [sha256.Size]byte, most int) *knownJWT {
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

func (c *jwtCache) add(sum [sha256.Size]byte, known *knownJWT, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(sum, known, most)
}

// keep puts an entry into the young half. Callers hold mu.
func (c *jwtCache) keep(sum [sha256.Size]byte, known *knownJWT, most int) {
	if c.young == nil || len(c.young) >= max(most/2, 1) {
		c.young, c.old = make(map[[sha256.Size]byte]*knownJWT), c.young
	}
	c.young[sum] = known
}

func (c *jwtCache) forget(sum [sha256.Size]byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.young, sum)
	delete(c.old, sum)
}

// same reports whether both are one key for one use. A key that was replaced
// under its name is another.
func (k *Key) same(other *Key) bool {
	if k.Algorithm != other.Algorithm || !k.Secret.Equal(other.Secret) {
		return false
	}
	pub, ok := k.Public.(interface{ Equal(x crypto.PublicKey) bool })
	if !ok {
		return k.Public == nil && other.Public == nil
	}
	return pub.Equal(other.Public)
}
