package main

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"github.com/go-jose/go-jose/v4"
)

// Keys below these sizes are refused here, because the verifier refuses what
// they sign.
const (
	minSecretBytes = 32   // RFC 7518 §3.2: as long as the hash
	minRSABits     = 2048 // RFC 7518 §3.3
)

// readSecret reads the secret for HS256 from a file. One newline at the end,
// which editors and echo leave there, is not part of it.
func readSecret(path string) (jose.SigningKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return jose.SigningKey{}, fmt.Errorf("read secret: %w", err)
	}
	text = bytes.TrimSuffix(text, []byte("\n"))
	text = bytes.TrimSuffix(text, []byte("\r"))
	if len(text) < minSecretBytes {
		return jose.SigningKey{}, fmt.Errorf("read secret %s: got %d bytes, HS256 needs at least %d",
			path, len(text), minSecretBytes)
	}
	return jose.SigningKey{Algorithm: jose.HS256, Key: text}, nil
}

// readKey reads a private key from a PEM or JWK file. The key's type decides
// the algorithm, and its "kid" (RFC 7638 thumbprint where it has none) goes
// into the token's header.
func readKey(path string) (jose.SigningKey, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return jose.SigningKey{}, fmt.Errorf("read key: %w", err)
	}
	var key jose.JSONWebKey
	if trimmed := bytes.TrimSpace(text); len(trimmed) > 0 && trimmed[0] == '{' {
		key, err = parseJWK(trimmed)
	} else {
		key.Key, err = parsePEM(text)
	}
	if err != nil {
		return jose.SigningKey{}, fmt.Errorf("read key %s: %w", path, err)
	}
	algorithm, err := algorithmOf(key)
	if err != nil {
		return jose.SigningKey{}, fmt.Errorf("read key %s: %w", path, err)
	}
	if key.KeyID == "" {
		thumbprint, err := key.Thumbprint(crypto.SHA256)
		if err != nil {
			return jose.SigningKey{}, fmt.Errorf("take thumbprint of key %s: %w", path, err)
		}
		key.KeyID = base64.RawURLEncoding.EncodeToString(thumbprint)
	}
	// The JWK carries the kid to the signer.
	return jose.SigningKey{Algorithm: algorithm, Key: key}, nil
}

func parseJWK(text []byte) (jose.JSONWebKey, error) {
	var key jose.JSONWebKey
	if err := json.Unmarshal(text, &key); err != nil {
		// What the parser says may quote the key.
		return key, errors.New("not a valid JWK")
	}
	if _, symmetric := key.Key.([]byte); symmetric {
		return key, errors.New("this JWK is a shared secret: give it with --hs256-secret-file")
	}
	if key.IsPublic() {
		return key, errors.New("this JWK is a public key: signing needs the private one")
	}
	return key, nil
}

// parsePEM returns the first private key in text; the parameters that openssl
// writes before an EC key are skipped.
func parsePEM(text []byte) (any, error) {
	for {
		var block *pem.Block
		if block, text = pem.Decode(text); block == nil {
			return nil, errors.New("no private key: want PEM or a JWK")
		}
		switch block.Type {
		case "PRIVATE KEY":
			return x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			return x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			if block.Headers["DEK-Info"] != "" {
				return nil, errors.New("the key is encrypted: decrypt it first")
			}
			return x509.ParsePKCS1PrivateKey(block.Bytes)
		case "ENCRYPTED PRIVATE KEY":
			return nil, errors.New("the key is encrypted: decrypt it first")
		case "PUBLIC KEY", "RSA PUBLIC KEY", "CERTIFICATE":
			return nil, errors.New("this is a public key: signing needs the private one")
		}
	}
}

// algorithmOf is the one algorithm that the key's type has. A JWK may say so
// itself ("alg"); another than its type allows is an error, and PS256 is taken
// for an RSA key that asks for it.
func algorithmOf(key jose.JSONWebKey) (jose.SignatureAlgorithm, error) {
	var algorithm jose.SignatureAlgorithm
	switch k := key.Key.(type) {
	case ed25519.PrivateKey:
		algorithm = jose.EdDSA
	case *ecdsa.PrivateKey:
		switch k.Curve {
		case elliptic.P256():
			algorithm = jose.ES256
		case elliptic.P384():
			algorithm = jose.ES384
		default:
			return "", fmt.Errorf("curve %s: want P-256 or P-384", k.Curve.Params().Name)
		}
	case *rsa.PrivateKey:
		if bits := k.N.BitLen(); bits < minRSABits {
			return "", fmt.Errorf("RSA key of %d bits: want at least %d", bits, minRSABits)
		}
		algorithm = jose.RS256
		if key.Algorithm == string(jose.PS256) {
			algorithm = jose.PS256
		}
	default:
		return "", errors.New("key type: want Ed25519, EC (P-256, P-384) or RSA")
	}
	if key.Algorithm != "" && key.Algorithm != string(algorithm) {
		return "", fmt.Errorf("the JWK says alg %q, its type is for %s", key.Algorithm, algorithm)
	}
	return algorithm, nil
}
