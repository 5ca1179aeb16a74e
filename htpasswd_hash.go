package usher

import (
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

const (
	minBcryptCost     = 4
	maxBcryptCost     = 15 // About two seconds.
	bcryptLength      = 60
	maxBcryptPassword = 72 // Bytes. What is beyond would not count.

	maxArgonMemory = 256 << 10 // KiB.
	maxArgonPasses = 16
	maxArgonLanes  = 16
	minArgonSalt   = 8 // Bytes: RFC 9106 §3.1.
	maxArgonSalt   = 64
	minArgonHash   = 16
	maxArgonHash   = 64
)

// A passwordHash tells whether a password is the one that it was made of. Its
// time depends on its own parameters and not on the password.
type passwordHash interface {
	matches(password []byte) bool
}

// parseHash reads a hash of one of the two kinds that withstand guessing.
func parseHash(text string) (passwordHash, error) {
	switch {
	case strings.HasPrefix(text, "$argon2id$"):
		return parseArgon(text)
	case strings.HasPrefix(text, "$2a$"), strings.HasPrefix(text, "$2b$"), strings.HasPrefix(text, "$2y$"):
		return parseBcrypt(text)
	}
	const advice = `; make the hash anew with bcrypt ("htpasswd -B") or argon2id`
	for _, weak := range []struct{ prefix, name string }{
		{"$apr1$", "apr1 (MD5)"},
		{"{SHA}", "SHA-1"},
		{"{SSHA}", "salted SHA-1"},
		{"$1$", "crypt with MD5"},
		{"$5$", "crypt with SHA-256"},
		{"$6$", "crypt with SHA-512"},
		{"$2x$", "bcrypt of a broken version"},
		{"$argon2i$", "argon2i"},
		{"$argon2d$", "argon2d"},
	} {
		if strings.HasPrefix(text, weak.prefix) {
			return nil, fmt.Errorf("%s is not supported%s", weak.name, advice)
		}
	}
	return nil, errors.New("neither bcrypt nor argon2id, perhaps a plain password" + advice)
}

type bcryptHash []byte

func parseBcrypt(text string) (passwordHash, error) {
	const alphabet = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"
	const head = len("$2b$10$")
	if len(text) != bcryptLength || text[head-1] != '$' || strings.Trim(text[head:], alphabet) != "" {
		return nil, errors.New("malformed bcrypt hash")
	}
	cost, err := strconv.ParseUint(text[head-3:head-1], 10, 8)
	if err != nil {
		return nil, errors.New("malformed bcrypt hash")
	}
	if cost < minBcryptCost || cost > maxBcryptCost {
		return nil, fmt.Errorf("bcrypt cost %d, allowed are %d to %d", cost, minBcryptCost, maxBcryptCost)
	}
	return bcryptHash(text), nil
}

// matches refuses passwords that bcrypt would cut off, after it has spent the
// same time on them: the hash does not say who knows the rest.
func (h bcryptHash) matches(password []byte) bool {
	err := bcrypt.CompareHashAndPassword(h, password[:min(len(password), maxBcryptPassword)])
	return err == nil && len(password) <= maxBcryptPassword
}

type argonHash struct {
	memory, passes uint32 // KiB, and a count.
	lanes          uint8
	salt, hash     []byte
}

// parseArgon reads the PHC string format, in the one spelling that encoders
// write.
func parseArgon(text string) (passwordHash, error) {
	malformed := errors.New("malformed argon2id hash")
	parts := strings.Split(text, "$")
	if len(parts) != 6 || parts[2] != "v=19" {
		return nil, malformed
	}
	params := strings.Split(parts[3], ",")
	if len(params) != 3 {
		return nil, malformed
	}
	h := &argonHash{}
	var err error
	if h.memory, err = argonParam(params[0], "m", maxArgonMemory); err != nil {
		return nil, err
	}
	if h.passes, err = argonParam(params[1], "t", maxArgonPasses); err != nil {
		return nil, err
	}
	lanes, err := argonParam(params[2], "p", maxArgonLanes)
	if err != nil {
		return nil, err
	}
	h.lanes = uint8(lanes)
	if h.memory < 8*lanes {
		return nil, errors.New("argon2id m is less than 8 p")
	}
	if h.salt, err = base64.RawStdEncoding.Strict().DecodeString(parts[4]); err != nil ||
		len(h.salt) < minArgonSalt || len(h.salt) > maxArgonSalt {
		return nil, malformed
	}
	if h.hash, err = base64.RawStdEncoding.Strict().DecodeString(parts[5]); err != nil ||
		len(h.hash) < minArgonHash || len(h.hash) > maxArgonHash {
		return nil, malformed
	}
	return h, nil
}

func argonParam(text, name string, highest uint64) (uint32, error) {
	value, ok := strings.CutPrefix(text, name+"=")
	n, err := strconv.ParseUint(value, 10, 32)
	if !ok || err != nil || strconv.FormatUint(n, 10) != value {
		return 0, errors.New("malformed argon2id parameters")
	}
	if n < 1 || n > highest {
		return 0, fmt.Errorf("argon2id %s of %d, at most %d", name, n, highest)
	}
	return uint32(n), nil
}

func (h *argonHash) matches(password []byte) bool {
	got := argon2.IDKey(password, h.salt, h.passes, h.memory, h.lanes, uint32(len(h.hash)))
	return subtle.ConstantTimeCompare(got, h.hash) == 1
}
