package engine

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/usher-ws/usher"
)

const (
	sealedVersion = 2 // What has version 1 is from before there were seals.
	// MinKey is how long the text of a key-encryption key is at least, in bytes.
	MinKey = 32
)

// noKey is what nodes of a NATS cluster seal with that have no key: a seal in form
// only, since everybody knows it. Who has a key takes nothing that has it.
var noKey = usher.NewSecret("usher: no key-encryption key was given")

// A vault seals what is kept that nobody may read who has the store alone. Its
// first key seals, all open. It uses AES-256-GCM, with the name of what is sealed
// as additional data, so that one thing cannot be put in the place of another.
type vault struct {
	// make makes a key where there is none to seal with. Default: that is an error.
	make func() (usher.Secret, error)

	mu sync.Mutex
	// Guarded by mu.
	keys []vaultKey
}

// A vaultKey is a key-encryption key.
type vaultKey struct {
	id   string // Tells keys apart, and says nothing about them.
	aead cipher.AEAD
}

// sealed is the form of what is sealed, in JSON.
type sealed struct {
	V     int    `json:"v"`
	Key   string `json:"key"` // Its id.
	Nonce []byte `json:"nonce"`
	Box   []byte `json:"box"`
}

// vault returns the one for a store. A key that was made in a data directory opens
// what is sealed under it also where another one is given by now.
func (o *Options) vault(s store) (*vault, error) {
	if o.Memory {
		return newVault(usher.NewSecret(rand.Text() + rand.Text())) // For as long as what it seals.
	}
	var given []usher.Secret
	for _, key := range []usher.Secret{o.Key, o.OldKey} {
		if !key.Empty() {
			given = append(given, key)
		}
	}
	if o.NATS != nil {
		if o.Key.Empty() {
			o.Log.Warn("no key-encryption key: whoever can read the NATS account can make tickets and tokens; set engine.key to one random text on all nodes")
			return newVault(noKey)
		}
		return newVault(given...)
	}
	dir := s.(*jetStream).own.dir
	made, err := dir.key()
	if err != nil {
		return nil, err
	}
	if !made.Empty() {
		given = append(given, made)
	}
	v, err := newVault(given...)
	if err == nil {
		v.make = func() (usher.Secret, error) {
			o.Log.Warn("a key-encryption key was made in the data directory: whoever copies the directory has both; give one of your own",
				slog.String("file", filepath.Join(dir.name, keyName)))
			return dir.makeKey()
		}
	}
	return v, err
}

// newVault returns one with these keys. A text may be as long as it likes: AES
// gets what HKDF (RFC 5869) makes of it.
func newVault(texts ...usher.Secret) (*vault, error) {
	v := &vault{}
	for _, text := range texts {
		if err := v.add(text); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// add adds a key. mu is held, or nobody else has the vault yet.
func (v *vault) add(text usher.Secret) error {
	if n := len(text.Reveal()); n < MinKey {
		return fmt.Errorf("a key-encryption key of %d bytes, want at least %d", n, MinKey)
	}
	id, err := vaultKeyID(text)
	if err != nil {
		return err
	}
	key, err := derive(text, "usher key-encryption key", 32)
	if err != nil {
		return err
	}
	aead, err := newAEAD(key)
	if err != nil {
		return err
	}
	v.keys = append(v.keys, vaultKey{id, aead})
	return nil
}

// vaultKeyID is the id of a key-encryption key.
func vaultKeyID(text usher.Secret) (string, error) {
	id, err := derive(text, "usher key-encryption key id", 8)
	return hex.EncodeToString(id), err
}

// derive makes a key for one purpose of a secret.
func derive(secret usher.Secret, purpose string, size int) ([]byte, error) {
	return hkdf.Key(sha256.New, []byte(secret.Reveal()), nil, purpose, size)
}

// newAEAD returns AES-256-GCM.
func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}

// seal seals plain under a name.
func (v *vault) seal(name string, plain []byte) ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.keys) == 0 {
		if v.make == nil {
			return nil, errNoVaultKey
		}
		text, err := v.make()
		if err != nil {
			return nil, err
		}
		if err := v.add(text); err != nil {
			return nil, err
		}
	}
	k := v.keys[0]
	s := sealed{V: sealedVersion, Key: k.id, Nonce: make([]byte, k.aead.NonceSize())}
	rand.Read(s.Nonce) // Never fails: it ends the process instead.
	s.Box = k.aead.Seal(nil, s.Nonce, plain, []byte(name))
	return json.Marshal(s)
}

var (
	errNoVaultKey = errors.New("there is no key-encryption key to seal it with")
	// ErrOtherKey is the error of Open where what is kept is sealed under another
	// key-encryption key. Nothing is changed then.
	ErrOtherKey = errors.New("it is sealed under another key-encryption key")
)

// open returns what is sealed under a name. It reports whether that should be
// sealed again, since another key seals now. Text is an object of version 2.
func (v *vault) open(name string, text []byte) (plain []byte, again bool, err error) {
	var s sealed
	if strictJSON(text, &s) != nil {
		return nil, false, errors.New("not a record of this version of usher")
	}
	if s.V != sealedVersion {
		return nil, false, fmt.Errorf("version %d, want %d", s.V, sealedVersion)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	i := slices.IndexFunc(v.keys, func(k vaultKey) bool { return k.id == s.Key })
	if i < 0 {
		if id, err := vaultKeyID(noKey); err == nil && id == s.Key {
			return nil, false, errUnsealed
		}
		return nil, false, fmt.Errorf("%w, with the id %.16q: %s", ErrOtherKey, s.Key, v.given())
	}
	k := v.keys[i]
	if len(s.Nonce) != k.aead.NonceSize() {
		return nil, false, errors.New("its nonce has another size")
	}
	plain, err = k.aead.Open(nil, s.Nonce, s.Box, []byte(name))
	if err != nil {
		return nil, false, errors.New("it was changed since it was sealed, or is in the place of another")
	}
	return plain, i > 0, nil
}

// given says which keys there are, for who has to find the right one.
func (v *vault) given() string {
	if len(v.keys) == 0 {
		return "none is given"
	}
	ids := make([]string, len(v.keys))
	for i, k := range v.keys {
		ids[i] = k.id
	}
	return "given is " + strings.Join(ids, ", ")
}
