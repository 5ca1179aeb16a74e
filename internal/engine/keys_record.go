package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
	"unicode/utf8"
)

const (
	keyRecordVersion = 1
	// maxKeyRecord bounds a record, in bytes: more than the largest that can be
	// made.
	maxKeyRecord = 48 << 10
)

// A keyRecord is a key as this program holds it.
type keyRecord struct {
	key    Key
	digest digest
	old    digest // Of the secret before, until the key's OldUntil.
	// unreadable records verify nothing. Only the id of their key is known.
	unreadable bool
}

// storedKey is the form of a record in the bucket. The id is the entry's key.
type storedKey struct {
	V        int       `json:"v"`
	Digest   []byte    `json:"digest"`
	Name     string    `json:"name,omitempty"`
	May      []string  `json:"may,omitempty"`
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
	Disabled bool      `json:"disabled,omitempty"`
	// What keys had not at first is there only where it says something, so that
	// nodes of an earlier version know the others.
	Scope      string          `json:"scope,omitempty"`
	Capability json.RawMessage `json:"capability,omitempty"`
	Audiences  []string        `json:"audiences,omitempty"`
	Old        []byte          `json:"old,omitempty"`
	OldUntil   time.Time       `json:"old_until,omitzero"`
}

func (r keyRecord) encode() ([]byte, error) {
	s := storedKey{
		V: keyRecordVersion, Digest: r.digest[:], Name: r.key.Name, May: r.key.May,
		Created: r.key.Created, Expires: r.key.Expires, Disabled: r.key.Disabled,
		Scope: r.key.Scope, Capability: r.key.Capability, Audiences: r.key.Audiences,
	}
	if !r.key.OldUntil.IsZero() {
		s.Old, s.OldUntil = r.old[:], r.key.OldUntil
	}
	return json.Marshal(s)
}

// decodeRecord reads a record strictly: what a later version has added is not
// understood, and a limit on a key that is not understood must not be passed
// over. With an error the record is an unreadable one.
func decodeRecord(id string, value []byte) (keyRecord, error) {
	s, err := decodeStored(id, value)
	if err != nil {
		return keyRecord{key: Key{ID: id}, unreadable: true}, err
	}
	r := keyRecord{key: s.key(id), digest: digest(s.Digest)}
	if len(s.Old) > 0 {
		r.old = digest(s.Old)
	}
	return r, nil
}

func (s storedKey) key(id string) Key {
	return Key{
		ID: id, Name: s.Name, May: mays(s.May), Created: s.Created.UTC(), Expires: utc(s.Expires), Disabled: s.Disabled,
		Scope: s.Scope, Capability: s.Capability, Audiences: s.Audiences, OldUntil: utc(s.OldUntil),
	}
}

// canonical returns the key as it is stored: permissions in their one form.
func (k Key) canonical() (Key, error) {
	p, err := k.Permissions()
	if err != nil {
		return Key{}, err
	}
	k = k.clone()
	k.May, k.Scope, k.Capability = mays(k.May), p.Scope(), nil
	if text := p.Capability(); text != "" {
		k.Capability = json.RawMessage(text)
	}
	return k, nil
}

// mays returns permissions as a Key has them: sorted, each once, and never nil,
// which JSON would call null.
func mays(list []string) []string {
	may := append([]string{}, list...)
	slices.Sort(may)
	return slices.Compact(may)
}

// utc leaves the zero time as it is: all of them are to be equal by ==.
func utc(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC()
}

// Its errors quote nothing of the record, which holds a digest.
func decodeStored(id string, value []byte) (storedKey, error) {
	switch {
	case !isKeyID(id):
		return storedKey{}, errors.New("its name is no key id")
	case len(value) > maxKeyRecord:
		return storedKey{}, fmt.Errorf("more than %d bytes", maxKeyRecord)
	case !utf8.Valid(value):
		return storedKey{}, errors.New("not UTF-8")
	}
	var version struct {
		V int `json:"v"`
	}
	if json.Unmarshal(value, &version) != nil {
		return storedKey{}, errors.New("not an object in JSON")
	}
	if version.V != keyRecordVersion {
		return storedKey{}, fmt.Errorf("version %d, want %d", version.V, keyRecordVersion)
	}
	var s storedKey
	dec := json.NewDecoder(bytes.NewReader(value))
	dec.DisallowUnknownFields()
	if dec.Decode(&s) != nil {
		return storedKey{}, errors.New("a member that is unknown or of the wrong type")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return storedKey{}, errors.New("something after its end")
	}
	switch {
	case len(s.Digest) != len(digest{}) || digest(s.Digest) == digest{}:
		return storedKey{}, errors.New("no digest")
	case len(s.Old) > 0 != !s.OldUntil.IsZero() || len(s.Old) > 0 && (len(s.Old) != len(digest{}) || digest(s.Old) == digest{}):
		return storedKey{}, errors.New("an old digest that is not whole")
	case s.Created.IsZero():
		return storedKey{}, errors.New("no time of creation")
	case !slices.IsSorted(s.May) || len(slices.Compact(slices.Clone(s.May))) != len(s.May):
		return storedKey{}, errors.New("permissions that are not sorted, each once")
	}
	return s, s.key(id).validate()
}
