package usher

import (
	"crypto/hmac"
	"crypto/sha256"
	"strings"
	"sync"
)

const (
	maxHeads    = 16  // Headers that are remembered for one JWT.
	maxHeadText = 512 // Bytes of one, as it stands in a token.
)

// jwtHeads remembers headers of tokens with HS256 that were good, by their text:
// an issuer writes the same one into all of its tokens. To read one again costs
// several times what the rest of such a token does, while what a text says does
// not change. Since only good tokens are remembered, a stranger cannot fill it.
// The zero value is ready.
type jwtHeads struct {
	mu     sync.RWMutex
	keyIDs map[string]string // Guarded by mu. By the text of the header.
}

func (h *jwtHeads) find(text string) (keyID string, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	keyID, ok = h.keyIDs[text]
	return keyID, ok
}

func (h *jwtHeads) add(text, keyID string) {
	if len(text) > maxHeadText {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.keyIDs == nil || len(h.keyIDs) >= maxHeads {
		h.keyIDs = make(map[string]string)
	}
	h.keyIDs[strings.Clone(text)] = strings.Clone(keyID)
}

// hasMade reports whether the key, which is one for HS256, has made the signature
// of input (RFC 7518 §3.2).
func (k *Key) hasMade(signature, input []byte) bool {
	mac := hmac.New(sha256.New, []byte(k.Secret.Reveal()))
	mac.Write(input)
	return hmac.Equal(signature, mac.Sum(nil))
}
