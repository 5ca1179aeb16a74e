package apps

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	// It reads JSON as RFC 8725 asks: names have case, and a duplicate one is an
	// error, at any depth.
	strictjson "github.com/go-jose/go-jose/v4/json"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// A token is a JWT in the compact form (RFC 7515 §7.1, or RFC 7516 §7.1 around
// another), taken apart and not judged.
type token struct {
	header map[string]any
	claims map[string]any // Nil if it is encrypted.
	signed string         // What the signature is of.
	mac    []byte
}

// parseToken takes a token apart. What has not the shape of one is
// ErrUnrecognized.
func parseToken(text string) (*token, error) {
	if len(text) > usher.MaxToken {
		return nil, badJWT("larger than 8 KiB")
	}
	parts := strings.Split(text, ".")
	if len(parts) != 3 && len(parts) != 5 {
		return nil, fmt.Errorf("%w: %w", usher.ErrUnrecognized, ably.Err(ably.TokenUnknown))
	}
	t := &token{}
	var err error
	if t.header, err = object(parts[0]); err != nil {
		return nil, fmt.Errorf("%w: %w", usher.ErrUnrecognized, badJWT("malformed header"))
	}
	if len(parts) == 5 {
		return t, nil
	}
	if t.text("alg") != "HS256" && t.text(embedded) == "" && !mayCarry(parts[1]) {
		return nil, errAlgorithm // Another verifier's, most likely, which reads it anyway.
	}
	if t.claims, err = object(parts[1]); err != nil {
		return nil, badJWT("malformed claims")
	}
	if t.mac, err = base64.RawURLEncoding.Strict().DecodeString(parts[2]); err != nil {
		return nil, badJWT("malformed signature")
	}
	t.signed = text[:len(parts[0])+1+len(parts[1])]
	return t, nil
}

// embedded names the token inside of another, in its header or among its claims.
const embedded = "x-ably-token"

// mayCarry reports whether claims may have a token among them.
func mayCarry(claims string) bool {
	text, err := base64.RawURLEncoding.DecodeString(claims)
	return err != nil || bytes.Contains(text, []byte(embedded))
}

// object reads a part that is a JSON object.
func object(part string) (map[string]any, error) {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil || nestedDeep(text) {
		return nil, errNoToken
	}
	var m map[string]any
	dec := strictjson.NewDecoder(strings.NewReader(string(text)))
	dec.SetNumberType(strictjson.UnmarshalJSONNumber)
	if err := dec.Decode(&m); err != nil || m == nil || dec.More() {
		return nil, errNoToken
	}
	return m, nil
}

// nestedDeep reports more brackets than any token has: the reader recurses. That
// some may be in strings does no harm.
func nestedDeep(text []byte) bool {
	n := 0
	for _, c := range text {
		if c == '{' || c == '[' {
			n++
		}
	}
	return n > 256
}

// text returns a string of the header, or "".
func (t *token) text(name string) string {
	s, _ := t.header[name].(string)
	return s
}

// claim returns a claim that is a string, or "".
func (t *token) claim(name string) string {
	s, _ := t.claims[name].(string)
	return s
}

// embedded returns the token inside, or "".
func (t *token) embedded() string {
	if s := t.text(embedded); s != "" {
		return s
	}
	return t.claim(embedded)
}

// time returns a claim that is a time, with fractions of a second, or zero. What
// a time cannot be is the nearest that it can.
func (t *token) time(name string) time.Time {
	n, ok := t.claims[name].(strictjson.Number)
	if !ok {
		return time.Time{}
	}
	s, err := strconv.ParseFloat(string(n), 64)
	if err != nil && !math.IsInf(s, 0) {
		return time.Time{}
	}
	const last = 253402300799 // The end of the year 9999.
	return time.UnixMilli(int64(math.Round(min(max(s, 1), last) * 1000)))
}

// signedBy reports whether the secret has signed the token. The algorithm is
// HS256 whatever the token says: no other is ever used.
func (t *token) signedBy(secret usher.Secret) bool { return hmac.Equal(t.mac, sign(t.signed, secret)) }

func sign(text string, secret usher.Secret) []byte {
	h := hmac.New(sha256.New, []byte(secret.Reveal()))
	h.Write([]byte(text))
	return h.Sum(nil)
}

// capabilityText returns the claim as the text of a capability: it is one, or
// the object itself. What is neither is text that no capability is.
func capabilityText(claim any) string {
	switch v := claim.(type) {
	case string:
		if v != "" {
			return v
		}
	case map[string]any:
		if text, err := json.Marshal(v); err == nil {
			return string(text)
		}
	}
	return "?"
}

// mint makes a token of a key.
func mint(name string, secret usher.Secret, claims map[string]any) (string, error) {
	header, err := json.Marshal(map[string]string{"alg": "HS256", "typ": "JWT", "kid": name})
	if err != nil {
		return "", fmt.Errorf("token's header: %w", err)
	}
	body, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("token's claims: %w", err)
	}
	text := base64.RawURLEncoding.EncodeToString(header) + "." + base64.RawURLEncoding.EncodeToString(body)
	return text + "." + base64.RawURLEncoding.EncodeToString(sign(text, secret)), nil
}

// seconds is a time as a claim has it, to the millisecond.
func seconds(t time.Time) json.Number {
	ms := t.UnixMilli()
	return json.Number(fmt.Sprintf("%d.%03d", ms/1000, ms%1000))
}
