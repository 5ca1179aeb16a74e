package usher

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"

	strictjson "github.com/go-jose/go-jose/v4/json"
)

// ReadKeys returns the keys in a file: a JWK Set or one JWK (RFC 7517), or PEM
// with public keys ("PUBLIC KEY", "RSA PUBLIC KEY") or certificates, of which
// the key counts and nothing else, not even the dates. Of a JWK Set keys that
// do not verify tokens are passed over, as in [JWKS]; symmetric keys are
// allowed. The file may have 1 MiB and 100 keys. It is read once.
//
// It is an error if the file has no such key or a private one, which whoever
// verifies tokens should not have.
func ReadKeys(path string) (KeySet, error) {
	text, err := readBounded(path, maxKeyDocument)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	keys, err := parseKeys(text)
	if err != nil {
		return nil, fmt.Errorf("read keys from %s: %w", path, err)
	}
	return newKeyIndex(keys), nil
}

func parseKeys(text []byte) ([]Key, error) {
	if !bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n"), []byte("{")) {
		return parsePEM(text)
	}
	var set struct {
		Keys strictjson.RawMessage `json:"keys"`
	}
	if err := strictjson.Unmarshal(text, &set); err != nil {
		return nil, errors.New("malformed json")
	}
	if set.Keys != nil {
		return parseKeySet(text, true)
	}
	k, err := parseKey(text, true)
	if err != nil {
		return nil, err
	}
	return []Key{k}, nil
}

func parsePEM(text []byte) ([]Key, error) {
	var keys []Key
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			break
		}
		if len(keys) == maxKeys {
			return nil, fmt.Errorf("more than %d keys", maxKeys)
		}
		k, err := parseBlock(block)
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", len(keys)+1, err)
		}
		keys = append(keys, k)
	}
	if len(keys) == 0 {
		return nil, errors.New("neither a jwk nor pem with a public key")
	}
	return keys, nil
}

func parseBlock(block *pem.Block) (Key, error) {
	var k Key
	var err error
	switch {
	case block.Type == "PUBLIC KEY":
		k.Public, err = x509.ParsePKIXPublicKey(block.Bytes)
	case block.Type == "RSA PUBLIC KEY":
		k.Public, err = x509.ParsePKCS1PublicKey(block.Bytes)
	case block.Type == "CERTIFICATE":
		var cert *x509.Certificate
		if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
			k.Public = cert.PublicKey
		}
	case strings.HasSuffix(block.Type, "PRIVATE KEY"):
		err = errors.New("private key; give the public half")
	default:
		err = errors.New("pem block is neither a public key nor a certificate")
	}
	if err != nil {
		return Key{}, err
	}
	if _, err := k.algorithms(); err != nil {
		return Key{}, err
	}
	return k, nil
}
