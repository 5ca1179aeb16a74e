package issuer

import (
	"bytes"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// A refresh token is a prefix, and in base64url without padding:
//
//	family (16 bytes) ‖ generation (4) ‖ HMAC-SHA256 of both and the family's nonce
//
// under a key that is derived from Options.Secret: see docs/decisions/0007.
const (
	refreshPrefix = "usher_refresh_"
	familySize    = 16
	nonceSize     = 16
	refreshSize   = familySize + 4 + sha256.Size
	refreshLen    = len(refreshPrefix) + (refreshSize*8+5)/6
	// minRefreshSecret is the size of the shortest secret, in bytes.
	minRefreshSecret = 32
)

// A familyID names a family of refresh tokens. It is in each of them.
type familyID [familySize]byte

// key is that of the family's record.
func (id familyID) key() string { return "family." + base64.RawURLEncoding.EncodeToString(id[:]) }

// A family is what is kept of refresh tokens that came one from another.
type family struct {
	Client     string        `json:"client"`
	Subject    string        `json:"subject"`
	Session    string        `json:"session"`
	Scope      string        `json:"scope,omitempty"`
	Capability string        `json:"capability,omitempty"`
	Audience   []string      `json:"audience"`
	Lifetime   time.Duration `json:"lifetime"` // Of its access tokens.
	Created    time.Time     `json:"created"`
	Ends       time.Time     `json:"ends"` // However often it is used.

	Nonce      []byte    `json:"nonce"`
	Generation uint32    `json:"generation"` // Of the current token.
	Digest     []byte    `json:"digest"`     // SHA-256 of the current token.
	Since      time.Time `json:"since"`      // Its making.

	Ended time.Time `json:"ended,omitzero"` // By reuse or revocation.
	Told  bool      `json:"told,omitempty"` // Its connections were ended as well.
}

// until is when the current token is good no more, unless it is used.
func (f *family) until(idle time.Duration) time.Time {
	if at := f.Since.Add(idle); at.Before(f.Ends) {
		return at
	}
	return f.Ends
}

// next returns the family after the use of its current token.
func (f *family) next(now time.Time, digest []byte) *family {
	n := *f
	n.Generation, n.Digest, n.Since = f.Generation+1, digest, now
	return &n
}

// A parsed refresh token is one that has the form, and is not known to be ours.
type parsed struct {
	id         familyID
	generation uint32
	mac        []byte
	digest     []byte // Of the whole text.
}

// isRefreshToken reports whether a text is meant as a refresh token.
func isRefreshToken(text usher.Secret) bool { return strings.HasPrefix(text.Reveal(), refreshPrefix) }

// parseRefresh reads a refresh token. There is one text for each.
func parseRefresh(text usher.Secret) (parsed, error) {
	no := errors.New("not a refresh token")
	s := text.Reveal()
	if len(s) != refreshLen || !strings.HasPrefix(s, refreshPrefix) {
		return parsed{}, no
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(s[len(refreshPrefix):])
	if err != nil || len(raw) != refreshSize {
		return parsed{}, no
	}
	sum := sha256.Sum256([]byte(s))
	return parsed{
		id: familyID(raw), generation: binary.BigEndian.Uint32(raw[familySize:]), mac: raw[familySize+4:], digest: sum[:],
	}, nil
}

// refreshTokens computes refresh tokens.
type refreshTokens struct{ secret func() usher.Secret }

// mac computes that of a token.
func (r refreshTokens) mac(id familyID, generation uint32, nonce []byte) ([]byte, error) {
	secret := []byte(r.secret().Reveal())
	if len(secret) < minRefreshSecret {
		return nil, fmt.Errorf("compute refresh token: %w: its secret is not there", usher.ErrUnavailable)
	}
	key, err := hkdf.Expand(sha256.New, secret, "usher refresh token v1", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("compute refresh token: %w", err)
	}
	h := hmac.New(sha256.New, key)
	h.Write(id[:])
	h.Write(binary.BigEndian.AppendUint32(nil, generation))
	h.Write(nonce)
	return h.Sum(nil), nil
}

// text returns the family's token of a generation, and its digest.
func (r refreshTokens) text(id familyID, generation uint32, nonce []byte) (string, []byte, error) {
	mac, err := r.mac(id, generation, nonce)
	if err != nil {
		return "", nil, err
	}
	raw := bytes.Join([][]byte{id[:], binary.BigEndian.AppendUint32(nil, generation), mac}, nil)
	s := refreshPrefix + base64.RawURLEncoding.EncodeToString(raw)
	sum := sha256.Sum256([]byte(s))
	return s, sum[:], nil
}

// isOf reports whether a token was made for this family, whatever has become of
// it since.
func (r refreshTokens) isOf(f *family, p *parsed) (bool, error) {
	mac, err := r.mac(p.id, p.generation, f.Nonce)
	return err == nil && hmac.Equal(mac, p.mac), err
}

// isCurrent reports whether a token of the current generation is the one that is
// kept.
func (f *family) isCurrent(p *parsed) bool {
	return subtle.ConstantTimeCompare(f.Digest, p.digest) == 1
}

// begin makes a family with its first token.
func (r refreshTokens) begin(f *family) (id familyID, text string, err error) {
	f.Nonce = make([]byte, nonceSize)
	rand.Read(id[:]) // Neither fails: see crypto/rand.
	rand.Read(f.Nonce)
	f.Since = f.Created
	text, f.Digest, err = r.text(id, f.Generation, f.Nonce)
	return id, text, err
}
