package realtime

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
)

// A keyring makes the keys of connections, "id!secret", and knows them again. It
// keeps none: a key is told by its connection and its number, under a secret of the
// process, beyond which no connection lives.
type keyring [sha256.Size]byte

func newKeyring() *keyring {
	k := new(keyring)
	_, _ = rand.Read(k[:]) // It does not fail (see its documentation).
	return k
}

// key is the nth key of a connection.
func (k *keyring) key(id string, n uint32) string {
	secret := k.secret(id, n)
	return id + "!" + string(secret[:])
}

// is reports whether a secret is that of the nth key of a connection. None is the
// number 0.
func (k *keyring) is(secret, id string, n uint32) bool {
	want := k.secret(id, n)
	return n > 0 && subtle.ConstantTimeCompare([]byte(secret), want[:]) == 1
}

// secretSize is the size of a secret: 128 bits in base32 (RFC 4648 §6).
const secretSize = 26

// secret is half a digest of what begins with the keyring, so that nobody can go on
// from what is told.
func (k *keyring) secret(id string, n uint32) (text [secretSize]byte) {
	var room [128]byte
	b := binary.BigEndian.AppendUint32(append(room[:0], k[:]...), n)
	sum := sha256.Sum256(append(b, id...))
	base32.StdEncoding.WithPadding(base32.NoPadding).Encode(text[:], sum[:len(sum)/2])
	return text
}
