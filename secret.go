package usher

import (
	"crypto/sha256"
	"crypto/subtle"
	"log/slog"
)

// redacted is what a Secret shows wherever it is printed.
const redacted = "[redacted]"

// A Secret holds a credential or a key. It prints, logs and marshals as
// "[redacted]"; only [Secret.Reveal] gives what is in it. The zero value is
// the empty secret.
type Secret struct {
	// A pointer, because fmt cannot call String on the unexported field of
	// another type and would print a string held here.
	text *string
}

// NewSecret returns a Secret that holds text.
func NewSecret(text string) Secret { return Secret{text: &text} }

// Reveal returns what the secret holds. Whoever calls it must not log, store
// or forward the result.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// Empty reports whether the secret holds nothing.
func (s Secret) Empty() bool { return s.text == nil || *s.text == "" }

// Equal compares two secrets by digest, in a time that tells nothing about
// either.
func (s Secret) Equal(other Secret) bool {
	a, b := s.digest(), other.digest()
	return subtle.ConstantTimeCompare(a[:], b[:]) == 1
}

// digest hashes in pieces, since a copy of the whole could be large.
func (s Secret) digest() (sum [sha256.Size]byte) {
	h := sha256.New()
	var piece [256]byte
	for text := s.Reveal(); text != ""; {
		n := copy(piece[:], text)
		h.Write(piece[:n])
		text = text[n:]
	}
	h.Sum(sum[:0])
	return sum
}

// String returns "[redacted]".
func (s Secret) String() string { return redacted }

// GoString returns "[redacted]", so that %#v shows no more than %v.
func (s Secret) GoString() string { return redacted }

// LogValue makes log/slog write "[redacted]".
func (s Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText makes JSON and other encodings write "[redacted]".
func (s Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }
