package usher

import (
	"strings"
	"testing"
)

// TestOpenTriesEachKey: two keys may have one id by chance, and one that fails
// leaves the ticket whole for the other. Private for keys of one id.
func TestOpenTriesEachKey(t *testing.T) {
	ring, err := newKeyring([]Secret{NewSecret(strings.Repeat("a", ticketKeySize)), NewSecret(strings.Repeat("b", ticketKeySize))})
	if err != nil {
		t.Fatal(err)
	}
	ring.keys[1].id = ring.keys[0].id
	text := (&keyring{keys: ring.keys[1:]}).seal(append(make([]byte, ticketHead), "what is sealed"...))
	got, err := ring.open(text)
	if err != nil || string(got) != "what is sealed" {
		t.Errorf("open: got %q, %v, want what was sealed by the second", got, err)
	}
}
