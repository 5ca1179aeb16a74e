package usher

import (
	"encoding/base64"
	"strings"
)

// base64url is the form of all that we put in URLs, headers and tokens (RFC
// 4648 §5), without padding. Strict: the unused bits of the last character must
// be zero.
var base64url = base64.RawURLEncoding.Strict()

// decodeBase64URL decodes a text that nobody can spell in a second way. The
// decoder by itself would skip line ends.
func decodeBase64URL(text string) ([]byte, bool) {
	if strings.IndexByte(text, '\n') >= 0 || strings.IndexByte(text, '\r') >= 0 {
		return nil, false
	}
	b, err := base64url.DecodeString(text)
	return b, err == nil
}

// decodeBase64URLText is decodeBase64URL for what is kept as a text.
func decodeBase64URLText(text string) (string, bool) {
	var short [512]byte // Most are, and cost one allocation then.
	if base64url.DecodedLen(len(text)) > len(short) || strings.IndexByte(text, '\n') >= 0 || strings.IndexByte(text, '\r') >= 0 {
		b, ok := decodeBase64URL(text)
		return string(b), ok
	}
	n, err := base64url.Decode(short[:], []byte(text))
	return string(short[:n]), err == nil
}
