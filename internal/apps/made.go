package apps

import (
	"crypto/rand"
	"encoding/hex"
	"strings"

	"github.com/usher-ws/usher"
)

// NewID makes an id for an app or a key: 12 characters of a-z and 2-7, of which
// the first is a letter, so that no program takes it for a number.
func NewID() string {
	const random = 11 // Of 5 bits each.
	return "k" + strings.ToLower(rand.Text()[:random])
}

// NewSecret makes the secret of a key: 256 bits, as many as HS256 wants (RFC 7518
// §3.2), in 64 hexadecimal digits.
func NewSecret() usher.Secret {
	var secret [32]byte
	rand.Read(secret[:]) // Never fails: it ends the process instead.
	return usher.NewSecret(hex.EncodeToString(secret[:]))
}
