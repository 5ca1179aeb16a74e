package usher

import (
	"strings"
	"sync"

	"github.com/go-jose/go-jose/v4"
)

const (
	maxHeads    = 16  // Headers that are remembered for one JWT.
	maxHeadText = 512 // Bytes of one, as it stands in a token.
)

// jwtHeads remembers headers of tokens that were good, by their text: an issuer
// writes the same one into all of its tokens. To read one again costs more than
// all else of a token but its signature, while what a text says does not change.
// Since only good tokens are remembered, a stranger cannot fill it. The zero
// value is ready.
type jwtHeads struct {
	mu    sync.RWMutex
	heads map[string]jwtHead // Guarded by mu. By the text of the header.
}

// A jwtHead is what a header says of the signature.
type jwtHead struct {
	alg   jose.SignatureAlgorithm
	keyID string
}

func (h *jwtHeads) find(text string) (head jwtHead, ok bool) {
	h.mu.RLock()
	defer h.mu.RUnlock()
	head, ok = h.heads[text]
	return head, ok
}

func (h *jwtHeads) add(text string, head jwtHead) {
	if len(text) > maxHeadText {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.heads == nil || len(h.heads) >= maxHeads {
		h.heads = make(map[string]jwtHead)
	}
	head.keyID = strings.Clone(head.keyID)
	h.heads[strings.Clone(text)] = head
}
