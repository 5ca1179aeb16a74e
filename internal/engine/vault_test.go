package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/usher-ws/usher"
)

// vaultOf returns a vault with keys of one letter each.
func vaultOf(t *testing.T, letters string) *vault {
	t.Helper()
	var keys []usher.Secret
	for _, l := range letters {
		keys = append(keys, usher.NewSecret(strings.Repeat(string(l), MinKey)))
	}
	v, err := newVault(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestVault(t *testing.T) {
	plain := []byte("canary-canary-canary")
	text, err := vaultOf(t, "a").seal("site", plain)
	if err != nil || bytes.Contains(text, plain) {
		t.Fatalf("got %q and %v, want it sealed", text, err)
	}
	if again, err := vaultOf(t, "a").seal("site", plain); err != nil || bytes.Equal(again, text) {
		t.Errorf("got the same seal twice, or %v", err)
	}
	for _, tt := range []struct {
		keys, name string
		again      bool
		wrong      string
	}{
		{"a", "site", false, ""},
		{"ab", "site", false, ""},
		{"ba", "site", true, ""},
		{"bca", "site", true, ""},
		{"b", "site", false, "another key-encryption key"},
		{"", "site", false, "none is given"},
		{"a", "signing", false, "in the place of another"},
	} {
		got, again, err := vaultOf(t, tt.keys).open(tt.name, text)
		switch {
		case tt.wrong == "" && (err != nil || !bytes.Equal(got, plain) || again != tt.again):
			t.Errorf("keys %q, name %s: got %q, %t and %v, want it and %t", tt.keys, tt.name, got, again, err, tt.again)
		case tt.wrong != "" && (err == nil || !strings.Contains(err.Error(), tt.wrong) || got != nil):
			t.Errorf("keys %q, name %s: got %q and %v, want an error with %q", tt.keys, tt.name, got, err, tt.wrong)
		case tt.wrong != "" && errors.Is(err, ErrOtherKey) != (tt.name == "site"):
			t.Errorf("keys %q, name %s: got %v", tt.keys, tt.name, err)
		}
	}
}

// No byte of what is sealed can be changed.
func TestVaultTampered(t *testing.T) {
	v := vaultOf(t, "a")
	text, err := v.seal("site", []byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	var whole sealed
	if err := json.Unmarshal(text, &whole); err != nil {
		t.Fatal(err)
	}
	for part, bytes := range map[string][]byte{"nonce": whole.Nonce, "box": whole.Box} {
		for i := range bytes {
			bytes[i] ^= 1
			changed, err := json.Marshal(whole)
			bytes[i] ^= 1
			if err != nil {
				t.Fatal(err)
			}
			if plain, _, err := v.open("site", changed); err == nil || plain != nil {
				t.Fatalf("%s, byte %d changed: got %q, want an error", part, i, plain)
			}
		}
	}
	whole.Nonce = whole.Nonce[1:]
	short, err := json.Marshal(whole)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.open("site", short); err == nil {
		t.Error("a short nonce: got nil, want an error")
	}
}

func TestVaultKeys(t *testing.T) {
	if _, err := newVault(usher.NewSecret(strings.Repeat("x", MinKey-1))); err == nil || strings.Contains(err.Error(), "xx") {
		t.Errorf("a short key: got %v, want an error without it", err)
	}
	if _, err := new(vault).seal("site", nil); !errors.Is(err, errNoVaultKey) {
		t.Errorf("no key: got %v, want errNoVaultKey", err)
	}
	made := 0
	v := &vault{make: func() (usher.Secret, error) {
		made++
		return usher.NewSecret(strings.Repeat("m", MinKey)), nil
	}}
	for range 2 {
		if _, err := v.seal("site", nil); err != nil {
			t.Fatal(err)
		}
	}
	if made != 1 {
		t.Errorf("made %d keys, want 1", made)
	}
	v = &vault{make: func() (usher.Secret, error) { return usher.Secret{}, errFull }}
	if _, err := v.seal("site", nil); !errors.Is(err, errFull) {
		t.Errorf("none can be made: got %v, want why", err)
	}
}
