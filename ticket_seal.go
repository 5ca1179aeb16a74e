package usher

import (
	"bytes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"

	"golang.org/x/crypto/chacha20poly1305"
)

// A sealed ticket is, in base64url without padding:
//
//	version (1 byte, 1) ‖ key id (4) ‖ nonce (24) ‖ ciphertext ‖ tag (16)
//
// The seal is XChaCha20-Poly1305, with version and key id as additional data.
// Its nonce of 192 bits may be drawn at random for as many tickets as anybody
// makes. That of AES-GCM, 96 bits, allows 2³² under one key (NIST SP 800-38D
// §8.3), which nodes that share a key would have to count together.
const (
	ticketVersion = 1
	ticketKeySize = chacha20poly1305.KeySize
	ticketIDSize  = 4
	ticketHead    = 1 + ticketIDSize + chacha20poly1305.NonceSizeX
)

// The reasons why a text is not opened. What another Tickets may know how to
// open is ErrUnrecognized too.
var (
	errNotTicket  = fmt.Errorf("%w: not a ticket", ErrUnrecognized)
	errTicketKey  = fmt.Errorf("%w: sealed with a key that is not in use", ErrUnrecognized)
	errTicketSeal = errors.New("seal broken")
)

// A keyring holds the keys of Tickets. The first seals.
type keyring struct{ keys []ticketKey }

type ticketKey struct {
	id   [ticketIDSize]byte
	aead cipher.AEAD
}

// newKeyring makes a keyring of secrets of 32 bytes each, at least one.
func newKeyring(secrets []Secret) (*keyring, error) {
	if len(secrets) == 0 {
		return nil, errors.New("no ticket key")
	}
	ring := &keyring{keys: make([]ticketKey, len(secrets))}
	for i, s := range secrets {
		if n := len(s.Reveal()); n != ticketKeySize {
			return nil, fmt.Errorf("ticket key %d has %d bytes, want %d random ones", i+1, n, ticketKeySize)
		}
		if err := ring.keys[i].derive([]byte(s.Reveal())); err != nil {
			return nil, fmt.Errorf("derive ticket key %d: %w", i+1, err)
		}
	}
	return ring, nil
}

// derive makes the key that seals, and its id, from a secret that is random
// already (RFC 5869 §3.3). So a ticket cannot be mistaken for anything else
// that is sealed or signed with the same secret.
func (k *ticketKey) derive(secret []byte) error {
	id, err := hkdf.Expand(sha256.New, secret, "usher ticket v1 id", ticketIDSize)
	if err != nil {
		return err
	}
	copy(k.id[:], id)
	key, err := hkdf.Expand(sha256.New, secret, "usher ticket v1 seal", ticketKeySize)
	if err != nil {
		return err
	}
	k.aead, err = chacha20poly1305.NewX(key)
	return err
}

// sealedLen returns how many characters a ticket with n bytes of plaintext has.
func sealedLen(n int) int {
	return base64url.EncodedLen(ticketHead + n + chacha20poly1305.Overhead)
}

// seal returns the text of a ticket. What it seals is behind room for the head, and
// is sealed in its place.
func (r *keyring) seal(b []byte) string {
	k := &r.keys[0]
	b[0] = ticketVersion
	copy(b[1:], k.id[:])
	head := b[:1+ticketIDSize]
	nonce := b[1+ticketIDSize : ticketHead]
	rand.Read(nonce) // Never fails: it ends the process instead.
	b = k.aead.Seal(b[:ticketHead], nonce, b[ticketHead:], head)
	var short [1024]byte // Most are, and cost no more than their text then.
	if base64url.EncodedLen(len(b)) > len(short) {
		return base64url.EncodeToString(b)
	}
	return string(base64url.AppendEncode(short[:0], b))
}

// open returns the plaintext of a ticket. Whatever is not wholly as seal wrote
// it is refused, before decryption where possible. One key alone decrypts in place;
// another would find nothing left after one that has failed.
func (r *keyring) open(text string) ([]byte, error) {
	if len(text) > MaxToken || len(text) < sealedLen(0) {
		return nil, errNotTicket
	}
	b, ok := decodeBase64URL(text)
	if !ok || b[0] != ticketVersion {
		return nil, errNotTicket
	}
	id, nonce, sealed := b[1:1+ticketIDSize], b[1+ticketIDSize:ticketHead], b[ticketHead:]
	err := errTicketKey
	var into []byte
	if len(r.keys) == 1 {
		into = sealed[:0]
	}
	for i := range r.keys { // More than one may have the id, by chance.
		if k := &r.keys[i]; bytes.Equal(k.id[:], id) {
			plain, openErr := k.aead.Open(into, nonce, sealed, b[:1+ticketIDSize])
			if openErr == nil {
				return plain, nil
			}
			err = errTicketSeal
		}
	}
	return nil, err
}
