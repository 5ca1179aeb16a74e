package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/usher-ws/usher"
)

// What a key may do, for [Key.May].
const (
	MayApps        = "apps"        // Make, change and remove apps of the hub, and their keys.
	MayConnections = "connections" // See the live connections.
	MayExchange    = "exchange"    // Have tokens of the site for its users.
	MayExplain     = "explain"     // Look up why a client was refused.
	MayIntrospect  = "introspect"  // Ask what a token of the site says.
	MayKeys        = "keys"        // Make, change and remove API keys.
	MayRevocations = "revocations" // Revoke credentials.
	MaySigning     = "signing"     // Rotate and remove signing keys.
	MayTokens      = "tokens"      // Have tokens of the site for itself.
)

// permissions are all that there are, sorted.
var permissions = []string{
	MayApps, MayConnections, MayExchange, MayExplain, MayIntrospect, MayKeys, MayRevocations, MaySigning, MayTokens,
}

const (
	// MaxKeys is how many API keys there are at most, disabled and expired ones
	// included.
	MaxKeys = 10_000
	// maxKeyName bounds a key's name, in characters.
	maxKeyName = 64
	// maxKeyAudiences bounds the audiences of a key, each of maxKeyAudience bytes,
	// and maxKeyPermissions its scope and its capability, in bytes.
	maxKeyAudiences, maxKeyAudience, maxKeyPermissions = 8, 256, 2048
)

var (
	// ErrBadKey is what a text is refused with that is no valid API key. What is
	// behind it in the error, the cause, is for the operator: whoever sent the
	// text is told no more than that it is not valid.
	ErrBadKey = errors.New("API key is not valid")
	// ErrNoKey is the error of a change to a key that does not exist.
	ErrNoKey = errors.New("no such API key")
)

// A Key is an API key, by which a server or an operator is known to the admin
// API. Its secret is not in it: nobody can ask for that again.
type Key struct {
	// ID names the key: 12 characters of a-z and 2-7, random, never used twice.
	// It is no secret.
	ID string `json:"id"`
	// Name is of the operator's choice, to know the key by. At most 64
	// printable characters. Default: none.
	Name string `json:"name,omitempty"`
	// May is what the key may do: "apps", "connections", "exchange", "explain",
	// "introspect", "keys", "revocations", "signing", "tokens". Sorted, each once.
	// Default: nothing.
	May []string `json:"may"`
	// Scope and Capability, a JSON object, are the most that tokens can have which
	// are made for this key: see [usher.NewPermissions]. Default: nothing.
	Scope      string          `json:"scope,omitempty"`
	Capability json.RawMessage `json:"capability,omitempty"`
	// Audiences are those that its tokens may be for. Default: the site's own only.
	Audiences []string `json:"audiences,omitempty"`
	// Created is when the key was made, in whole microseconds.
	Created time.Time `json:"created"`
	// Expires is when the key ends, in whole microseconds. Default: never.
	Expires time.Time `json:"expires,omitzero"`
	// Disabled keys are refused until they are enabled again. Default: false.
	Disabled bool `json:"disabled"`
	// OldUntil is until when the secret before the last rotation is good, in whole
	// microseconds. Default: there is none.
	OldUntil time.Time `json:"old_until,omitzero"`
}

// Permissions are the most that tokens of the key can have.
func (k Key) Permissions() (usher.Permissions, error) {
	return usher.NewPermissions(k.Scope, string(k.Capability))
}

// Allows reports whether the key may do what permission names. It does not look
// at Expires and Disabled: [Keys.Verify] has done that.
func (k Key) Allows(permission string) bool { return slices.Contains(k.May, permission) }

// clone returns a key for the caller: it may change May.
func (k Key) clone() Key {
	k.May, k.Audiences, k.Capability = slices.Clone(k.May), slices.Clone(k.Audiences), slices.Clone(k.Capability)
	return k
}

// Validate reports what is wrong with the fields that an operator chooses: a
// Name that is too long or not printable, an unknown permission, a Scope,
// Capability or Audiences that are malformed or of no use to it, an Expires that
// has passed or is after the year 9999.
func (k Key) Validate() error {
	if err := k.validate(); err != nil {
		return err
	}
	if !k.Expires.IsZero() && !k.Expires.After(time.Now().Round(0)) {
		return errors.New("API key's expiry has passed")
	}
	return nil
}

// validate is Validate for a key that may have expired.
func (k Key) validate() error {
	switch {
	case !utf8.ValidString(k.Name) || strings.ContainsFunc(k.Name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return errors.New("API key's name has a character that cannot be printed")
	case utf8.RuneCountInString(k.Name) > maxKeyName:
		return fmt.Errorf("API key's name has more than %d characters", maxKeyName)
	case k.Expires.UTC().Year() > 9999:
		return errors.New("API key's expiry is after the year 9999")
	}
	for _, one := range k.May {
		if !slices.Contains(permissions, one) {
			return fmt.Errorf("unknown permission %.40q, want some of %s", one, strings.Join(permissions, ", "))
		}
	}
	return k.validateClient()
}

// validateClient is the part of validate that is about tokens.
func (k Key) validateClient() error {
	tokens := k.Allows(MayTokens) || k.Allows(MayExchange)
	switch {
	case (k.Scope != "" || len(k.Capability) > 0) && !tokens:
		return errors.New("scope and capability are for keys that may have tokens: tokens, exchange")
	case len(k.Audiences) > 0 && !tokens && !k.Allows(MayIntrospect):
		return errors.New("audiences are for keys that may have or see tokens: tokens, exchange, introspect")
	case len(k.Scope) > maxKeyPermissions || len(k.Capability) > maxKeyPermissions:
		return fmt.Errorf("scope or capability has more than %d bytes", maxKeyPermissions)
	case len(k.Audiences) > maxKeyAudiences:
		return fmt.Errorf("API key has more than %d audiences", maxKeyAudiences)
	}
	if _, err := k.Permissions(); err != nil {
		return err
	}
	for i, one := range k.Audiences {
		if one == "" || len(one) > maxKeyAudience || !utf8.ValidString(one) || strings.ContainsFunc(one, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			return fmt.Errorf("an audience is empty, not printable, or longer than %d bytes", maxKeyAudience)
		}
		if slices.Contains(k.Audiences[:i], one) {
			return errors.New("an audience is in the list twice")
		}
	}
	return nil
}

// Keys are the API keys of all nodes. Each node mirrors them in its memory, so
// that judging one asks no network, and goes on while the store is out of reach:
// then a change by another node is seen when the store is back. It is for many
// goroutines at once.
//
// The store has a digest of each key and never its secret. A plain SHA-256 is
// enough: the secrets are random, of 130 bits, so there is nothing to guess.
type Keys struct {
	bucket bucket
	log    *slog.Logger
	mirror mirror
	stop   func()
}

// newKeys mirrors the keys in b until close is called. ctx is for the time until
// all that are there have been read.
func newKeys(ctx context.Context, b bucket, log *slog.Logger) (*Keys, error) {
	k := &Keys{bucket: b, log: log}
	stop, err := b.watch(ctx, k.hear)
	if err != nil {
		return nil, unreachable("watch API keys", err)
	}
	k.stop = stop
	return k, nil
}

// close ends the mirror. After it nothing verifies: what is removed is not
// heard of any more.
func (k *Keys) close() {
	k.stop()
	k.mirror.close()
}

// hear takes what the bucket tells into the mirror. A record that cannot be read
// replaces what was there: its key verifies no more.
func (k *Keys) hear(e entry) {
	since := k.bucket.since()
	if e.removed {
		k.mirror.gone(since, e.key, e.revision)
		return
	}
	r, err := decodeRecord(e.key, e.value)
	if k.mirror.put(since, r, e.revision) && err != nil {
		k.log.Warn("skipped an API key whose record cannot be read", "key_id", r.key.ID, "error", err)
	}
}

// List returns all keys that this node knows, the oldest first: expired and
// disabled ones too, and none whose record cannot be read.
func (k *Keys) List() []Key {
	list := k.mirror.list(k.bucket.since())
	slices.SortFunc(list, func(a, b Key) int {
		if n := a.Created.Compare(b.Created); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

// Find returns the key with this id, expired and disabled ones too.
func (k *Keys) Find(id string) (Key, bool) {
	r, ok := k.mirror.find(k.bucket.since(), id)
	return r.key.clone(), ok
}

// unreachable is the error of an operation on the store that did not end well.
func unreachable(operation string, err error) error {
	if errors.Is(err, usher.ErrUnavailable) {
		return fmt.Errorf("%s: %w", operation, err)
	}
	return fmt.Errorf("%s: %w: %w", operation, usher.ErrUnavailable, err)
}
