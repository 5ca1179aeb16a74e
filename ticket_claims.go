package usher

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// The claims of a ticket are values as JSON has them, each with a letter for its
// type in front, and texts and lists with their length: to read and write them is
// a third of what JSON's own spelling takes, which was most of a ticket.
const (
	claimNull   = 'n'
	claimTrue   = 't'
	claimFalse  = 'f'
	claimText   = 's'
	claimNumber = '#'
	claimList   = '['
	claimObject = '{'

	// maxClaimDepth is how deep claims may be nested.
	maxClaimDepth = 500
	// claimRoom is for how many there is room at once, whatever a length says.
	claimRoom = 16
)

var (
	errClaimText  = errors.New("claims are not valid UTF-8")
	errClaimDepth = errors.New("claims are nested too deep")
	// errClaimType: a value of a type that JSON reads to another.
	errClaimType = errors.New("claim of another type")
)

// appendClaims writes claims. Those that are of other types than come from JSON
// are taken through it.
func appendClaims(b []byte, claims Claims) ([]byte, error) {
	out, err := appendClaim(b, map[string]any(claims), 0)
	if !errors.Is(err, errClaimType) {
		return out, err
	}
	if !isUTF8(map[string]any(claims)) {
		return nil, errClaimText // It would be changed.
	}
	text, err := json.Marshal(claims)
	if err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var plain map[string]any
	if err := d.Decode(&plain); err != nil {
		return nil, fmt.Errorf("encode claims: %w", err)
	}
	return appendClaim(b, plain, 0)
}

func appendClaim(b []byte, v any, depth int) ([]byte, error) {
	if depth > maxClaimDepth {
		return nil, errClaimDepth // Or without end.
	}
	switch v := v.(type) {
	case nil:
		return append(b, claimNull), nil
	case bool:
		if v {
			return append(b, claimTrue), nil
		}
		return append(b, claimFalse), nil
	case string:
		if !utf8.ValidString(v) {
			return nil, errClaimText
		}
		return appendText(append(b, claimText), v), nil
	case json.Number:
		if !isNumber(string(v)) {
			return nil, errClaimType // Which JSON has a word for.
		}
		return appendText(append(b, claimNumber), string(v)), nil
	case []any:
		if v == nil {
			return append(b, claimNull), nil
		}
		return appendList(b, v, depth)
	case map[string]any:
		if v == nil {
			return append(b, claimNull), nil
		}
		return appendObject(b, v, depth)
	}
	return nil, errClaimType
}

func appendList(b []byte, list []any, depth int) (_ []byte, err error) {
	b = binary.AppendUvarint(append(b, claimList), uint64(len(list)))
	for _, e := range list {
		if b, err = appendClaim(b, e, depth+1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

func appendObject(b []byte, object map[string]any, depth int) (_ []byte, err error) {
	b = binary.AppendUvarint(append(b, claimObject), uint64(len(object)))
	for name, e := range object {
		if !utf8.ValidString(name) {
			return nil, errClaimText
		}
		if b, err = appendClaim(appendText(b, name), e, depth+1); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// cutClaim reads a value that appendClaim wrote, and returns what is behind it.
func cutClaim(b string, depth int) (v any, rest string, ok bool) {
	if b == "" || depth > maxClaimDepth {
		return nil, "", false
	}
	kind, rest := b[0], b[1:]
	switch kind {
	case claimNull:
		return nil, rest, true
	case claimTrue, claimFalse:
		return kind == claimTrue, rest, true
	case claimText:
		var text string
		rest, ok = cutText(rest, &text, true)
		return text, rest, ok && utf8.ValidString(text)
	case claimNumber:
		var text string
		rest, ok = cutText(rest, &text, true)
		return json.Number(text), rest, ok && isNumber(text)
	case claimList, claimObject:
		n, rest, ok := cutLength(rest) // Each takes a byte at least.
		switch {
		case !ok:
			return nil, "", false
		case kind == claimList:
			return cutList(rest, n, depth)
		}
		return cutObject(rest, n, depth)
	}
	return nil, "", false
}

func cutList(b string, n, depth int) (v any, rest string, ok bool) {
	list := make([]any, 0, min(n, claimRoom))
	for range n {
		var e any
		if e, b, ok = cutClaim(b, depth+1); !ok {
			return nil, "", false
		}
		list = append(list, e)
	}
	return list, b, true
}

func cutObject(b string, n, depth int) (v any, rest string, ok bool) {
	object := make(map[string]any, min(n, claimRoom))
	for range n {
		var name string
		var e any
		if b, ok = cutText(b, &name, true); !ok || !utf8.ValidString(name) {
			return nil, "", false
		}
		if e, b, ok = cutClaim(b, depth+1); !ok {
			return nil, "", false
		}
		object[name] = e
	}
	return object, b, len(object) == n
}

// isNumber reports whether text is a number of JSON, with nothing around it.
func isNumber(text string) bool {
	if text == "" || strings.IndexByte("-0123456789", text[0]) < 0 || strings.IndexByte("0123456789", text[len(text)-1]) < 0 {
		return false
	}
	return json.Valid([]byte(text))
}

// isUTF8 reports whether JSON can carry the texts in v as they are. It knows
// the types that come from JSON, and lists of strings.
func isUTF8(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		for _, s := range v {
			if !utf8.ValidString(s) {
				return false
			}
		}
	case []any:
		for _, e := range v {
			if !isUTF8(e) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if !utf8.ValidString(k) || !isUTF8(e) {
				return false
			}
		}
	}
	return true
}
