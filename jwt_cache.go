package usher

import "crypto"

// defaultJWTCache is how many tokens are remembered whose signature was good:
// checking it is most of the work of a handshake.
const defaultJWTCache = 10_000

// A knownJWT is what is known of a token whose signature was good. Its claims are
// kept as they came: decoded they are many small objects, which ten thousand
// times over keep a garbage collector busier than decoding them again does.
type knownJWT struct {
	payload string
	keyID   string // Of its header.
	key     Key    // That has signed it.
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
