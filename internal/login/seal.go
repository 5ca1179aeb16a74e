package login

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"

	"github.com/usher-ws/usher"
)

// minSecret is how much there must be of a secret that keys are made of, in
// bytes.
const minSecret = 16

// sealer returns what seals under a key made of a secret for one purpose.
func sealer(secret usher.Secret, purpose string) (cipher.AEAD, error) {
	if len(secret.Reveal()) < minSecret {
		return nil, fmt.Errorf("%w: no secret to seal with", usher.ErrUnavailable)
	}
	key, err := hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, purpose, 32)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, fmt.Errorf("make a cipher: %w", err)
	}
	return cipher.NewGCMWithRandomNonce(block)
}

var errSeal = errors.New("not sealed by us, or for something else")

var text64 = base64.RawURLEncoding.Strict()

// unseal opens what was sealed for a purpose, with a name that goes with it.
func unseal(secret usher.Secret, purpose, name string, sealed []byte) ([]byte, error) {
	aead, err := sealer(secret, purpose)
	if err != nil {
		return nil, err
	}
	plain, err := aead.Open(nil, nil, sealed, []byte(name))
	if err != nil {
		return nil, errSeal
	}
	return plain, nil
}

// seal is the opposite of unseal.
func seal(secret usher.Secret, purpose, name string, plain []byte) ([]byte, error) {
	aead, err := sealer(secret, purpose)
	if err != nil {
		return nil, err
	}
	return aead.Seal(nil, nil, plain, []byte(name)), nil //nolint:gosec // Its nonce is random and its own.
}
