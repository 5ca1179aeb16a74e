//go:build linux

package epoll

import (
	"strings"
	"testing"
)

// However a text is cut into pieces, the count is that of the whole.
func TestTally(t *testing.T) {
	const text = "~load"
	whole := "a~loadb~loa~load~~load~lo" + strings.Repeat("~load", 3) + "~l"
	const want = 6
	for size := 1; size <= len(whole); size++ {
		got, n := tally{text: []byte(text)}, 0
		for rest := whole; rest != ""; {
			piece := rest[:min(size, len(rest))]
			rest = rest[len(piece):]
			n += got.count([]byte(piece))
		}
		if n != want {
			t.Errorf("in pieces of %d: got %d, want %d", size, n, want)
		}
	}
}
