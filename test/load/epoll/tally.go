//go:build linux

package epoll

import "bytes"

// A tally counts how often a text comes in what is read, however that is cut
// up. The first byte of the text is nowhere else in it.
type tally struct {
	text    []byte
	matched int // How much of it the last piece ended with.
}

func (t *tally) count(p []byte) int {
	n := 0
	if t.matched > 0 {
		rest := t.text[t.matched:]
		switch {
		case bytes.HasPrefix(p, rest):
			n, p = 1, p[len(rest):]
		case bytes.HasPrefix(rest, p):
			t.matched += len(p)
			return 0
		}
		t.matched = 0
	}
	n += bytes.Count(p, t.text)
	for k := min(len(t.text)-1, len(p)); k > 0; k-- {
		if bytes.HasSuffix(p, t.text[:k]) {
			t.matched = k
			break
		}
	}
	return n
}
