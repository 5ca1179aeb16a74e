package engine

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/usher-ws/usher/internal/hub"
)

// What can be read is written the same way again, and nothing that is damaged
// takes more memory than it has bytes.
func FuzzEntry(f *testing.F) {
	f.Add(encodeEntry(&hub.Entry{Name: &hub.Name{App: "a", Channel: "c"}, Messages: []hub.Message{{ID: "x", Data: "y", Form: hub.Text}}}))
	f.Add(encodeEntry(&hub.Entry{Name: new(hub.Name), Kind: hub.Presence, ConnectionID: "c", Messages: make([]hub.Message, 3)}))
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x7f})
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := decodeEntry(b)
		if err != nil {
			return
		}
		again, err := decodeEntry(encodeEntry(e))
		if err != nil {
			t.Fatalf("read again: %v", err)
		}
		if d := cmp.Diff(e, again, cmpopts.IgnoreUnexported(hub.Entry{})); d != "" {
			t.Error(d)
		}
	})
}

func TestEntryOfAnotherVersion(t *testing.T) {
	b := encodeEntry(&hub.Entry{Name: new(hub.Name), Messages: make([]hub.Message, 1)})
	for name, damaged := range map[string][]byte{
		"empty": {}, "another version": append([]byte{2}, b[1:]...), "half": b[:len(b)/2], "more": append(b[:len(b):len(b)], 0),
		"no messages": {1, 0, 0, 0, 0, 0, 0},
	} {
		if _, err := decodeEntry(damaged); err == nil {
			t.Errorf("%s: got no error", name)
		}
	}
}
