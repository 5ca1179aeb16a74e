package usher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	// It reads JSON as RFC 8725 asks: names have case, and a duplicate one is
	// an error, at any depth.
	strictjson "github.com/go-jose/go-jose/v4/json"
)

const (
	// maxNesting is how deep objects and arrays may be nested in a token. The
	// reader recurses, so that 8 KiB of brackets would grow the stack of the
	// goroutine that later holds the connection.
	maxNesting = 32
	// lastSecond is the end of the year 9999, the last that all formats of
	// time can express.
	lastSecond = 253402300799
)

// errNotJWT: the secret has not the shape of a signed JWT.
var errNotJWT = fmt.Errorf("%w: not a signed jwt", ErrUnrecognized)

// splitToken checks that token is a JWS of three parts in the compact form, one
// of the many spellings that lenient readers take for the same, and returns
// its payload and its signature.
func splitToken(token string) (payload string, signature []byte, err error) {
	return splitKnown(token, false)
}

// splitKnown is splitToken for a token whose header may be known to be well-formed.
func splitKnown(token string, known bool) (payload string, signature []byte, err error) {
	if strings.Count(token, ".") != 2 {
		return "", nil, errNotJWT
	}
	head, rest, _ := strings.Cut(token, ".")
	body, tail, _ := strings.Cut(rest, ".")
	var header string
	ok := known
	if !known {
		header, ok = decodeBase64URLText(head)
	}
	payload, okPayload := decodeBase64URLText(body)
	signature, okSignature := decodeBase64URL(tail)
	if !ok || !okPayload || !okSignature || !utf8.ValidString(header) || !utf8.ValidString(payload) {
		return "", nil, errNotJWT
	}
	if tooDeep(header) || tooDeep(payload) {
		return "", nil, errors.New("nested too deep")
	}
	return payload, signature, nil
}

// tooDeep reports whether brackets are nested deeper than maxNesting.
func tooDeep[T string | []byte](text T) bool {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > maxNesting {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

// decodeClaims reads a payload. One that does not begin as a JSON object, such
// as a nested token, is ErrUnrecognized.
func decodeClaims(payload string) (Claims, error) {
	if plain, ok := readPlain(payload); ok {
		return plain, nil
	}
	if !strings.HasPrefix(strings.TrimLeft(payload, " \t\r\n"), "{") {
		return nil, errNotJWT
	}
	rd := strings.NewReader(payload)
	dec := strictjson.NewDecoder(rd)
	dec.SetNumberType(strictjson.UnmarshalJSONNumber)
	var claims Claims
	if err := dec.Decode(&claims); err != nil {
		return nil, errClaims
	}
	ahead, ok := dec.Buffered().(*bytes.Reader)
	if !ok || strings.TrimLeft(payload[len(payload)-rd.Len()-ahead.Len():], " \t\r\n") != "" {
		return nil, errClaims
	}
	for name, v := range claims {
		claims[name] = plainNumbers(v)
	}
	return claims, nil
}

// errClaims says no more, since the reader's errors quote what they read.
var errClaims = errors.New("malformed claims, or a duplicate one")

// plainNumbers gives numbers the type that the standard library has for them.
func plainNumbers(v any) any {
	switch v := v.(type) {
	case strictjson.Number:
		return json.Number(v)
	case []any:
		for i := range v {
			v[i] = plainNumbers(v[i])
		}
	case map[string]any:
		for name := range v {
			v[name] = plainNumbers(v[name])
		}
	}
	return v
}

// A datedIdentity is an identity with the time that it begins at.
type datedIdentity struct {
	Identity
	notBefore time.Time
}

// identity judges the claims of a token whose signature is good (RFC 7519
// §4.1, RFC 9068 §4), all but the times and the subject.
func (j *JWT) identity(claims Claims) (*datedIdentity, error) {
	if !isAudience(claims["aud"], j.Audience) {
		return nil, errors.New("for another audience")
	}
	of, err := identityOf(claims, j.Issuer)
	if err != nil {
		return nil, err
	}
	if of.Expires.IsZero() {
		return nil, errors.New("no expiry")
	}
	id := &datedIdentity{Identity: of}
	if id.notBefore, err = timeClaim(claims, "nbf"); err != nil {
		return nil, err
	}
	return id, nil
}

// identityOf makes an identity of claims by their registered names. Whether its
// times are good, and whether it has a subject, is not looked at.
func identityOf(claims Claims, issuer string) (Identity, error) {
	id := Identity{Issuer: issuer, Claims: claims}
	var err error
	if id.Subject, err = textClaim(claims, "sub"); err != nil {
		return Identity{}, err
	}
	if id.Session, err = textClaim(claims, "sid"); err != nil {
		return Identity{}, err
	}
	if id.Token, err = textClaim(claims, "jti"); err != nil {
		return Identity{}, err
	}
	if id.Expires, err = timeClaim(claims, "exp"); err != nil {
		return Identity{}, err
	}
	if id.Issued, err = timeClaim(claims, "iat"); err != nil {
		return Identity{}, err
	}
	return id, nil
}

// checkTimes judges the times of a token that is good otherwise. Whether it is
// expired comes last: only then is it known that it was good.
func (j *JWT) checkTimes(id *datedIdentity, now time.Time) error {
	latest := now.Add(j.leeway())
	switch {
	case latest.Before(id.Issued):
		return errors.New("issued in the future")
	case latest.Before(id.notBefore):
		return errors.New("not valid yet")
	case !now.Before(id.Expires):
		return ErrExpired
	}
	return nil
}

func (j *JWT) leeway() time.Duration {
	if j.Leeway == 0 {
		return defaultLeeway
	}
	return max(j.Leeway, 0)
}

// isAudience reports whether aud, a string or an array of nothing but strings,
// names want.
func isAudience(aud any, want string) bool {
	if list, ok := aud.([]any); ok {
		found := false
		for _, v := range list {
			name, ok := v.(string)
			if !ok {
				return false
			}
			found = found || name == want
		}
		return found
	}
	name, ok := aud.(string)
	return ok && name == want
}

// textClaim returns a claim that must be a string where it is present.
func textClaim(claims Claims, name string) (string, error) {
	v, ok := claims[name]
	if !ok {
		return "", nil
	}
	text, ok := v.(string)
	if !ok {
		return "", fmt.Errorf("claim %q is not a string", name)
	}
	return text, nil
}

// timeClaim returns a claim that must be a NumericDate (RFC 7519 §2) where it
// is present, and otherwise the zero time.
func timeClaim(claims Claims, name string) (time.Time, error) {
	v, ok := claims[name]
	if !ok {
		return time.Time{}, nil
	}
	number, ok := v.(json.Number)
	if !ok {
		return time.Time{}, fmt.Errorf("claim %q is not a number", name)
	}
	return numericDate(number), nil
}

// numericDate turns seconds since 1970 into a time. No sum overflows: what is
// beyond lastSecond, or before 1970, is cut off there.
func numericDate(n json.Number) time.Time {
	if s, err := strconv.ParseInt(string(n), 10, 64); err == nil {
		return time.Unix(min(max(s, 0), lastSecond), 0).UTC()
	}
	// What is too large for a float is infinite. It cannot be NaN: JSON has no
	// spelling for that.
	f, _ := strconv.ParseFloat(string(n), 64)
	s, fraction := math.Modf(min(max(f, 0), lastSecond))
	return time.Unix(int64(s), int64(fraction*float64(time.Second))).UTC()
}
