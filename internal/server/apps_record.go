package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/config"
)

const (
	appRecordVersion = 1
	// maxAppKeys and maxNamespaces bound the keys and the namespaces of an app.
	maxAppKeys, maxNamespaces = 100, 100
	// maxNamespace bounds the name of a namespace, maxAppCapability the capability
	// of a key, in bytes.
	maxNamespace, maxAppCapability = 64, 2048
)

// An appRecord is an app as the engine keeps it. Limits and Namespaces are as in the
// configuration, and have what was given only: the rest has the defaults.
type appRecord struct {
	V          int             `json:"v"`
	Name       string          `json:"name,omitempty"`
	Created    time.Time       `json:"created"`
	Disabled   bool            `json:"disabled,omitempty"`
	Limits     json.RawMessage `json:"limits,omitempty"`
	Namespaces json.RawMessage `json:"namespaces,omitempty"`
	Keys       []appKeyRecord  `json:"keys,omitempty"` // In the order in which they were made.
}

// An appKeyRecord is a key of an app as the engine keeps it.
type appKeyRecord struct {
	appKey
	Secret sealedSecret  `json:"secret"`
	Old    *sealedSecret `json:"old,omitempty"` // The one before, if there was one.
}

// A sealedSecret is a secret in a record that is sealed before it is kept: there
// it has its text, and nowhere else.
type sealedSecret struct{ usher.Secret }

// MarshalText returns the text: see sealedSecret.
func (s sealedSecret) MarshalText() ([]byte, error) { return []byte(s.Reveal()), nil }

// UnmarshalText takes the text.
func (s *sealedSecret) UnmarshalText(text []byte) error {
	s.Secret = usher.NewSecret(string(text))
	return nil
}

func (r *appRecord) encode() ([]byte, error) { return json.Marshal(r) }

// decodeApp reads a record strictly: a limit that a later version has added, and
// that is not understood, must not be passed over. Its errors quote nothing.
func decodeApp(text []byte) (*appRecord, error) {
	r := new(appRecord)
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(r) != nil || r.V != appRecordVersion {
		return nil, errors.New("its record is not of this version of usher")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows its record")
	}
	return r, nil
}

// app makes the app of its record, with the keys that are not disabled. Its errors
// are about what an operator has chosen.
func (r *appRecord) app(id string) (*hubApp, error) {
	limits, err := config.FromJSON[config.AppLimits]("limits", orEmpty(r.Limits))
	if err != nil {
		return nil, err
	}
	namespaces, err := config.FromJSON[map[string]*config.Namespace]("namespaces", orEmpty(r.Namespaces))
	if err != nil {
		return nil, err
	}
	if len(namespaces) > maxNamespaces {
		return nil, fmt.Errorf("namespaces: there are %d; an app has at most %d", len(namespaces), maxNamespaces)
	}
	for name := range namespaces {
		if !config.IsNamespace(name) || len(name) > maxNamespace {
			return nil, fmt.Errorf("namespaces: %.80q is none; want what stands before the first colon of a channel's name, at most %d bytes", name, maxNamespace)
		}
	}
	a := newHubApp(id, limits, namespaces)
	a.Named, a.record = true, r
	for _, k := range r.Keys {
		p, err := usher.NewPermissions("", string(k.Capability))
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", k.ID, err)
		}
		if !k.Disabled {
			key := &apps.Key{ID: k.ID, Secret: k.Secret.Secret, Permissions: p, Revocable: k.Revocable}
			if k.Old != nil {
				key.Old, key.OldUntil = k.Old.Secret, k.OldUntil
			}
			a.Keys = append(a.Keys, key)
		}
	}
	return a, nil
}

// orEmpty is an object, which has nothing in it where none was given.
func orEmpty(object json.RawMessage) []byte {
	if len(object) == 0 {
		return []byte("{}")
	}
	return object
}

// key returns the index of a key, or -1.
func (r *appRecord) key(id string) int {
	return slices.IndexFunc(r.Keys, func(k appKeyRecord) bool { return k.ID == id })
}
