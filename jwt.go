package usher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
)

const (
	// maxKeyID is the length of the longest "kid" that a key is looked up for.
	maxKeyID = 256
	// maxKeysTried is how many keys one token is tried against at most, so
	// that a token without a "kid" is not a way to buy a hundred signature
	// checks with one.
	maxKeysTried = 16

	defaultLeeway = 30 * time.Second
)

// A JWT judges JSON Web Tokens (RFC 7519) that are signed, in the compact form
// (RFC 7515 §7.1), by the rules of RFC 8725. It is a [Verifier] for KindToken.
//
// The algorithms are HS256, RS256, PS256, ES256, ES384 and EdDSA (Ed25519). Of
// these the key decides, never the token: see [Key]. Keys are only those of
// Keys: what a token carries or points at ("jwk", "jku", "x5c", "x5u") is not
// used, and no connection is ever made because of what is in a token. A token
// with "crit" or "b64" in its header, one with a duplicate member anywhere, and
// an encrypted one are refused.
//
// A token must have "iss", "aud", "exp" and a "sub" that is not empty. It is
// expired from the second that "exp" names, without leeway. A time may have a
// fraction; one that is outside of the years 1970 to 9999 counts as the nearest
// inside.
//
// It must not be copied after first use.
type JWT struct {
	// Issuer is what "iss" must be, exactly. Required.
	Issuer string
	// Audience must be among "aud". Required.
	Audience string
	// Keys are the keys that tokens may be signed with. Required.
	Keys KeySet
	// Types are the values of the header "typ" that are accepted (RFC 8725
	// §3.11), compared without case and without "application/" in front. The
	// empty string stands for a token without it. What the issuer makes for
	// another purpose, such as a logout token, is refused by its type, except
	// for ID tokens, which have none of their own: they have another audience,
	// or should. Default: "JWT", "at+jwt" (RFC 9068), and none.
	Types []string
	// Leeway is how far in the future "nbf" and "iat" may be, since clocks
	// differ. A negative one is none. It does not apply to "exp".
	// Default: 30 s.
	Leeway time.Duration
	// Cache is how many tokens are remembered whose signature was good, by their
	// digests: one that comes again before it expires costs a hash, as long as
	// its key is among Keys. An entry takes the size of its claims and some 300
	// bytes. Default: 10,000; a negative one is none.
	Cache int

	known tokenCache[knownJWT]
	heads jwtHeads
}

// Validate reports which required field is missing, or what is wrong with Keys
// where that has a Validate of its own. Verify refuses as long as a field is
// missing.
func (j *JWT) Validate() error {
	if err := j.required(); err != nil {
		return fmt.Errorf("jwt: %w", err)
	}
	if keys, ok := j.Keys.(interface{ Validate() error }); ok {
		if err := keys.Validate(); err != nil {
			return fmt.Errorf("jwt: %w", err)
		}
	}
	return nil
}

func (j *JWT) required() error {
	switch {
	case j.Issuer == "":
		return errors.New("no issuer")
	case j.Audience == "":
		return errors.New("no audience")
	case j.Keys == nil:
		return errors.New("no keys")
	}
	return nil
}

// Verify judges a token. What has not the shape of a JWT, and one whose "iss"
// is not Issuer, is ErrUnrecognized. A token that is good in everything but
// its age is ErrExpired: whatever else is wrong with an expired token is said
// first. Where its key cannot be looked up, and where a field is missing,
// the error is ErrUnavailable. Any other error is a no.
func (j *JWT) Verify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Kind != KindToken {
		return nil, ErrUnrecognized
	}
	id, err := j.judge(ctx, c.Secret, true)
	if err != nil {
		return nil, err
	}
	return &id.Identity, nil
}

// Claims judges a token that need not be about anybody, such as a logout token
// (OpenID Connect Back-Channel Logout §2.4), by all the rules of Verify but the
// one for "sub", and returns what it says.
func (j *JWT) Claims(ctx context.Context, token Secret) (Claims, error) {
	id, err := j.judge(ctx, token, false)
	if err != nil {
		return nil, err
	}
	return id.Claims, nil
}

// judge judges a token, which may have to be about somebody. What it returns is
// the caller's own.
func (j *JWT) judge(ctx context.Context, token Secret, somebody bool) (*datedIdentity, error) {
	if err := j.required(); err != nil {
		return nil, fmt.Errorf("verify jwt: %w: %w", ErrUnavailable, err)
	}
	if n := len(token.Reveal()); n > MaxToken {
		return nil, fmt.Errorf("verify jwt: token of %d bytes, at most %d", n, MaxToken)
	}
	id, err := j.recall(ctx, token)
	if err == nil && somebody && id.Subject == "" {
		err = errors.New("no subject")
	}
	if err == nil {
		err = j.checkTimes(id, time.Now())
	}
	if err != nil {
		return nil, fmt.Errorf("verify jwt: %w", err)
	}
	return id, nil
}

// recall judges a token that may be remembered, all but its times. What it
// returns is the caller's own.
func (j *JWT) recall(ctx context.Context, token Secret) (*datedIdentity, error) {
	most := j.cacheSize()
	if most == 0 {
		id, _, err := j.verify(ctx, token.Reveal())
		return id, err
	}
	sum := token.digest()
	known := j.known.find(sum, most)
	if known != nil && j.stillKnown(ctx, known) {
		claims, err := decodeClaims(known.payload)
		if err != nil {
			return nil, err
		}
		return j.identity(claims)
	}
	id, fresh, err := j.verify(ctx, token.Reveal())
	switch {
	case err == nil:
		j.known.add(sum, fresh, most)
	case known != nil:
		j.known.forget(sum)
	}
	return id, err
}

func (j *JWT) cacheSize() int {
	if j.Cache == 0 {
		return defaultJWTCache
	}
	return max(j.Cache, 0)
}

// stillKnown reports whether the key that has signed a token is one of ours
// still.
func (j *JWT) stillKnown(ctx context.Context, known *knownJWT) bool {
	keys, err := j.Keys.Keys(ctx, known.keyID)
	return err == nil && slices.ContainsFunc(keys, func(k Key) bool { return k.same(&known.key) })
}

// verify goes from what is cheap to what is dear, and leaves the times to
// checkTimes. The claims are read before the signature is checked, since "iss"
// says whether the token is ours to judge; nothing else in them counts before.
func (j *JWT) verify(ctx context.Context, token string) (*datedIdentity, *knownJWT, error) {
	text, _, _ := strings.Cut(token, ".")
	head, remembered := j.heads.find(text)
	payload, signature, err := splitKnown(token, remembered)
	if err != nil {
		return nil, nil, err
	}
	claims, err := decodeClaims(payload)
	if err != nil {
		return nil, nil, err
	}
	if claims.String("iss") != j.Issuer {
		return nil, nil, fmt.Errorf("%w: of another issuer", ErrUnrecognized)
	}
	var known *knownJWT
	if remembered {
		known, err = j.checkSignature(ctx, token, signature, head)
	} else {
		known, err = j.checkSigned(ctx, token)
	}
	if err != nil {
		return nil, nil, err
	}
	known.payload = payload
	id, err := j.identity(claims)
	return id, known, err
}

// checkSigned judges the header and the signature of a token whose parts are
// well-formed, and returns the key that has signed it.
func (j *JWT) checkSigned(ctx context.Context, token string) (*knownJWT, error) {
	jws, err := j.parse(token)
	if err != nil {
		return nil, err
	}
	header := &jws.Signatures[0].Protected
	head := jwtHead{jose.SignatureAlgorithm(header.Algorithm), header.KeyID}
	known, err := j.findKey(ctx, head, func(k *Key) bool {
		_, err := jws.Verify(k.material())
		return err == nil
	})
	if err == nil {
		text, _, _ := strings.Cut(token, ".")
		j.heads.add(text, head)
	}
	return known, err
}

// checkSignature is checkSigned for a token whose header is remembered.
func (j *JWT) checkSignature(ctx context.Context, token string, signature []byte, head jwtHead) (*knownJWT, error) {
	input := []byte(token[:strings.LastIndexByte(token, '.')])
	return j.findKey(ctx, head, func(k *Key) bool { return k.hasSigned(head.alg, signature, input) })
}

// parse reads a token and judges its header.
func (j *JWT) parse(token string) (*jose.JSONWebSignature, error) {
	jws, err := jose.ParseSignedCompact(token, allAlgorithms)
	if err != nil {
		// The text of the error is not passed on: it quotes the header.
		if _, ok := errors.AsType[*jose.ErrUnexpectedSignatureAlgorithm](err); ok {
			return nil, errors.New("algorithm not accepted")
		}
		return nil, errors.New("malformed header")
	}
	return jws, j.checkHeader(&jws.Signatures[0].Protected)
}

// checkHeader refuses what would change the meaning of the token (RFC 7515
// §4.1.11, RFC 7797) and tokens made for another purpose.
func (j *JWT) checkHeader(h *jose.Header) error {
	if len(h.KeyID) > maxKeyID {
		return fmt.Errorf("key id of %d bytes, at most %d", len(h.KeyID), maxKeyID)
	}
	for _, name := range []jose.HeaderKey{"crit", "b64"} {
		if _, ok := h.ExtraHeaders[name]; ok {
			return fmt.Errorf("header %q not accepted", name)
		}
	}
	typ := ""
	if v, ok := h.ExtraHeaders[jose.HeaderType]; ok {
		if typ, ok = v.(string); !ok || typ == "" {
			return errors.New("malformed type")
		}
	}
	if !j.acceptsType(typ) {
		return errors.New("token of a type that is not accepted here")
	}
	return nil
}

var defaultTypes = []string{"JWT", "at+jwt", ""}

func (j *JWT) acceptsType(typ string) bool {
	types := j.Types
	if len(types) == 0 {
		types = defaultTypes
	}
	for _, t := range types {
		if strings.EqualFold(bareType(t), bareType(typ)) {
			return true
		}
	}
	return false
}

// bareType cuts off the prefix that RFC 7515 §4.1.9 lets senders leave out.
func bareType(typ string) string {
	const prefix = "application/"
	if len(typ) > len(prefix) && strings.EqualFold(typ[:len(prefix)], prefix) {
		return typ[len(prefix):]
	}
	return typ
}

// findKey tries the keys that may have signed a token with this header, and
// returns the one that has.
func (j *JWT) findKey(ctx context.Context, head jwtHead, hasSigned func(*Key) bool) (*knownJWT, error) {
	keys, err := j.Keys.Keys(ctx, head.keyID)
	if err != nil {
		// Whatever went wrong, it is not known to be the token. Fail closed,
		// and let the client come back.
		return nil, fmt.Errorf("find the key: %w: %w", ErrUnavailable, err)
	}
	tried := 0
	for i := range keys {
		if !keys[i].accepts(head.alg) {
			continue
		}
		if tried++; tried > maxKeysTried {
			break
		}
		if hasSigned(&keys[i]) {
			return &knownJWT{keyID: head.keyID, key: keys[i]}, nil
		}
	}
	if tried == 0 {
		// Quoted and cut short, since it is a stranger's text.
		return nil, fmt.Errorf("no key for its algorithm and key id %.40q", head.keyID)
	}
	return nil, errors.New("wrong signature")
}
