package engine

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// A key's text is "usher_<id>_<secret>". The beginning is for programs that
// search for credentials where none should be, the id says which digest to
// compare with, and the secret is the 26 characters of [rand.Text].
const (
	keyPrefix    = "usher_"
	keyIDSize    = 12 // Of 5 bits each: enough for a name that never comes twice.
	keySecret    = 26 // Of 5 bits each: 130.
	keySize      = len(keyPrefix) + keyIDSize + 1 + keySecret
	keySecretAt  = keySize - keySecret
	keyIDLetters = "abcdefghijklmnopqrstuvwxyz234567"
	keyLetters   = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
)

// Made ahead: to tell an unknown id takes no longer than to tell a wrong secret.
var (
	errKeyForm     = fmt.Errorf("%w: not of the form usher_<id>_<secret>", ErrBadKey)
	errKeyUnknown  = fmt.Errorf("%w: no key has this id", ErrBadKey)
	errKeyWrong    = fmt.Errorf("%w: there is a key with this id, and its secret is another", ErrBadKey)
	errKeyDisabled = fmt.Errorf("%w: disabled", ErrBadKey)
)

// A digest is what is stored of a key's text: the SHA-256 of all of it, so that
// one in another key's record verifies nothing.
type digest [sha256.Size]byte

// newKeyText makes the text of a new key.
func newKeyText(id string) usher.Secret {
	return usher.NewSecret(keyPrefix + id + "_" + rand.Text())
}

func newKeyID() string { return strings.ToLower(rand.Text()[:keyIDSize]) }

func isKeyID(id string) bool {
	return len(id) == keyIDSize && strings.Trim(id, keyIDLetters) == ""
}

func digestOf(text usher.Secret) digest { return sha256.Sum256([]byte(text.Reveal())) }

// idOf returns the id in a key's text, or false where it is not of that form. It
// looks at no more than a text's length where that is not a key's.
func idOf(text usher.Secret) (id string, ok bool) {
	s := text.Reveal()
	if len(s) != keySize || !strings.HasPrefix(s, keyPrefix) || s[keySecretAt-1] != '_' {
		return "", false
	}
	id = s[len(keyPrefix) : keySecretAt-1]
	return id, isKeyID(id) && strings.Trim(s[keySecretAt:], keyLetters) == ""
}

// Verify returns the key of a text, "usher_<id>_<secret>". Its error is
// ErrBadKey where the text is no key's, or where the key is disabled or has
// expired; it quotes nothing of the text.
//
// See VerifyClient. It asks no network. A change by this node is seen at once, by others as soon
// as the store has told of it.
func (k *Keys) Verify(text usher.Secret) (Key, error) {
	id, ok := idOf(text)
	if !ok {
		return Key{}, errKeyForm
	}
	// Where there is no such key, the record is empty and the digest compared
	// all the same.
	r, known := k.mirror.find(k.bucket.since(), id)
	given := digestOf(text)
	same := subtle.ConstantTimeCompare(given[:], r.digest[:]) == 1
	old := subtle.ConstantTimeCompare(given[:], r.old[:]) == 1 && time.Now().Before(r.key.OldUntil)
	switch {
	case !known:
		return Key{}, errKeyUnknown
	case !same && !old:
		return Key{}, errKeyWrong
	}
	if err := r.usable(); err != nil {
		return Key{}, err
	}
	return r.key.clone(), nil
}

// VerifyClient is Verify for a key as an OAuth client: its client_id is the key's
// id, and its client_secret the last part of the text, or all of it.
func (k *Keys) VerifyClient(id string, secret usher.Secret) (Key, error) {
	if front := keyPrefix + id + "_"; !strings.HasPrefix(secret.Reveal(), front) {
		secret = usher.NewSecret(front + secret.Reveal())
	}
	return k.Verify(secret)
}

// Usable returns the key with this id, without a proof. Its error is ErrBadKey
// where there is none, and where it is disabled or has expired.
func (k *Keys) Usable(id string) (Key, error) {
	r, known := k.mirror.find(k.bucket.since(), id)
	if !known {
		return Key{}, errKeyUnknown
	}
	if err := r.usable(); err != nil {
		return Key{}, err
	}
	return r.key.clone(), nil
}

// usable reports why a key is not good, whoever has it.
func (r keyRecord) usable() error {
	switch {
	case r.key.Disabled:
		return errKeyDisabled
	case !r.key.Expires.IsZero() && !time.Now().Before(r.key.Expires):
		return fmt.Errorf("%w: expired at %s", ErrBadKey, r.key.Expires.Format(time.RFC3339))
	}
	return nil
}
