package usher

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"math/big"

	"github.com/go-jose/go-jose/v4"
)

// hasSigned reports whether the key, which accepts alg, has made the signature of
// input (RFC 7518 §3, RFC 8037 §3.1). Why not go-jose: docs/decisions/0008.
func (k *Key) hasSigned(alg jose.SignatureAlgorithm, signature, input []byte) bool {
	switch pub := k.Public.(type) {
	case nil:
		mac := hmac.New(sha256.New, []byte(k.Secret.Reveal()))
		mac.Write(input)
		return alg == jose.HS256 && hmac.Equal(signature, mac.Sum(nil))
	case *rsa.PublicKey:
		sum := sha256.Sum256(input)
		switch alg {
		case jose.RS256:
			return rsa.VerifyPKCS1v15(pub, crypto.SHA256, sum[:], signature) == nil
		case jose.PS256:
			return rsa.VerifyPSS(pub, crypto.SHA256, sum[:], signature, nil) == nil
		}
	case *ecdsa.PublicKey:
		switch alg {
		case jose.ES256:
			sum := sha256.Sum256(input)
			return isECDSA(pub, sum[:], signature)
		case jose.ES384:
			sum := sha512.Sum384(input)
			return isECDSA(pub, sum[:], signature)
		}
	case ed25519.PublicKey:
		return alg == jose.EdDSA && ed25519.Verify(pub, input, signature)
	}
	return false
}

// isECDSA judges a signature whose two numbers are each as long as the sum, which
// for both curves is the length of the curve's own.
func isECDSA(pub *ecdsa.PublicKey, sum, signature []byte) bool {
	n := len(sum)
	if len(signature) != 2*n {
		return false
	}
	r, s := new(big.Int).SetBytes(signature[:n]), new(big.Int).SetBytes(signature[n:])
	return ecdsa.Verify(pub, sum, r, s)
}
