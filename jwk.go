package usher

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	strictjson "github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeyDocument = 1 << 20 // Bytes of a JWK Set or a file of keys.
	maxKeys        = 100     // Keys in one set.
)

// A jwkMembers holds what is read of a JWK (RFC 7517 §4). Certificates and URLs
// ("x5c", "x5u") are left out: they are not used.
type jwkMembers struct {
	Kty string `json:"kty,omitempty"`
	Kid string `json:"kid,omitempty"`
	Alg string `json:"alg,omitempty"`
	Crv string `json:"crv,omitempty"`
	X   string `json:"x,omitempty"`
	Y   string `json:"y,omitempty"`
	N   string `json:"n,omitempty"`
	E   string `json:"e,omitempty"`
	K   string `json:"k,omitempty"`

	Use        *string               `json:"use,omitempty"`
	Operations []string              `json:"key_ops,omitempty"`
	Private    strictjson.RawMessage `json:"d,omitempty"`
	Factor     strictjson.RawMessage `json:"p,omitempty"`
}

// parseKeySet reads a JWK Set (RFC 7517 §5) and returns the keys in it that
// verify tokens. Others are passed over, as that section asks, and secret says
// whether symmetric keys are among those. It is an error if none is left; the
// error then says what was wrong with the first.
func parseKeySet(text []byte, secret bool) ([]Key, error) {
	var set struct {
		Keys []strictjson.RawMessage `json:"keys"`
	}
	if err := strictjson.Unmarshal(text, &set); err != nil {
		return nil, errors.New("not a jwk set")
	}
	if len(set.Keys) > maxKeys {
		return nil, fmt.Errorf("%d keys, at most %d", len(set.Keys), maxKeys)
	}
	var keys []Key
	var first error
	for i, raw := range set.Keys {
		k, err := parseKey(raw, secret)
		if err == nil {
			keys = append(keys, k)
		} else if first == nil {
			first = fmt.Errorf("key %d: %w", i+1, err)
		}
	}
	if len(keys) == 0 {
		return nil, errors.Join(errors.New("no key that verifies tokens"), first)
	}
	return keys, nil
}

// parseKey reads one JWK. Its errors do not quote it, since it may hold a
// secret.
func parseKey(text []byte, secret bool) (Key, error) {
	var m jwkMembers
	if err := strictjson.Unmarshal(text, &m); err != nil {
		return Key{}, errors.New("not a jwk")
	}
	switch {
	case m.Private != nil || m.Factor != nil:
		return Key{}, errors.New("private key; give the public half")
	case m.Kty == "oct" && !secret:
		return Key{}, errors.New("symmetric key in a public key set")
	case m.Kty != "oct" && m.K != "":
		return Key{}, errors.New("public key with a secret in it")
	case m.Use != nil && *m.Use != "sig":
		return Key{}, errors.New(`"use" is not "sig"`)
	case m.Operations != nil && !slices.Contains(m.Operations, "verify"):
		return Key{}, errors.New(`"key_ops" is without "verify"`)
	case len(m.Kid) > maxKeyID:
		return Key{}, fmt.Errorf("key id of %d bytes, at most %d", len(m.Kid), maxKeyID)
	}
	m.Use, m.Operations = nil, nil
	clean, err := json.Marshal(m)
	if err != nil {
		return Key{}, errors.New("not a jwk")
	}
	var jwk jose.JSONWebKey
	if err := jwk.UnmarshalJSON(clean); err != nil {
		return Key{}, errors.New("malformed or of a kind that is not supported")
	}
	k := Key{ID: jwk.KeyID, Algorithm: jwk.Algorithm, Public: jwk.Key}
	if bytes, ok := jwk.Key.([]byte); ok {
		k.Public, k.Secret = nil, NewSecret(string(bytes))
	}
	if _, err := k.algorithms(); err != nil {
		return Key{}, err
	}
	return k, nil
}
