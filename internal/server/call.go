package server

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/usher-ws/usher/internal/observe"
)

// maxCallBody bounds the body of a call of the admin API, in bytes: the longest
// names and reasons fit many times, however they are escaped.
const maxCallBody = 128 << 10

// An answer is what a call of the admin API is answered with. One of 400 and more
// is a problem document.
type answer struct {
	status int
	body   any // Nil for no body.
}

// maxTitle bounds a name to know a thing by, in characters.
const maxTitle = 64

// A denial is the error of a call that is answered with a status and a detail,
// which is for the caller to read.
type denial struct {
	status int
	detail string
}

// Error is the detail.
func (d *denial) Error() string { return d.detail }

func denyf(status int, format string, args ...any) error {
	return &denial{status, fmt.Sprintf(format, args...)}
}

func badCall(format string, args ...any) error {
	return denyf(http.StatusBadRequest, format, args...)
}

// members are those of a JSON object that a caller sent.
type members map[string]json.RawMessage

// readMembers reads the body of a call: one JSON object with known members only,
// each once and in this case, which encoding/json would not see to. A misspelled
// member must not widen what is meant.
func readMembers(w http.ResponseWriter, r *http.Request, known ...string) (members, error) {
	text, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxCallBody))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, denyf(http.StatusRequestEntityTooLarge, "the body is longer than %d bytes", maxCallBody)
	}
	if err != nil {
		return nil, badCall("the body could not be read")
	}
	if !utf8.Valid(text) {
		return nil, badCall("the body is not UTF-8")
	}
	return parseMembers("the body", text, known...)
}

// parseMembers reads an object of JSON, called what, with these members only, or
// any where none are said to be known.
func parseMembers(what string, text []byte, known ...string) (members, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if tok, err := d.Token(); err != nil || tok != json.Delim('{') {
		return nil, badCall("%s must be a JSON object", what)
	}
	m := make(members)
	for d.More() {
		tok, err := d.Token()
		name, isText := tok.(string)
		switch _, twice := m[name]; {
		case err != nil || !isText:
			return nil, badCall("%s is malformed", what)
		case len(known) > 0 && !slices.Contains(known, name):
			return nil, badCall("unknown member %.64q; there are %s", name, strings.Join(known, ", "))
		case twice:
			return nil, badCall("the member %.64s is there twice", name)
		}
		var value json.RawMessage
		if d.Decode(&value) != nil {
			return nil, badCall("%s is malformed at the member %.64s", what, name)
		}
		m[name] = value
	}
	if _, err := d.Token(); err != nil {
		return nil, badCall("%s is malformed", what)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, badCall("something follows the JSON object")
	}
	return m, nil
}

// noBody refuses a body where there is nothing to say.
func noBody(r *http.Request) error {
	if n, _ := io.ReadFull(r.Body, make([]byte, 1)); n > 0 {
		return badCall("this call has no body")
	}
	return nil
}

// isJSON reports whether the body is said to be JSON, which no form of a web page
// can say.
func isJSON(h http.Header) bool {
	if len(h["Content-Type"]) != 1 {
		return false
	}
	kind, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && kind == "application/json"
}

// text returns a member that is a text, or "" where there is none. One that is
// there must not be empty.
func (m members) text(name string) (string, error) {
	raw, ok := m[name]
	if !ok {
		return "", nil
	}
	var text string
	if raw[0] != '"' || json.Unmarshal(raw, &text) != nil || text == "" {
		return "", badCall("the member %s must be a text that is not empty", name)
	}
	return text, nil
}

// truth returns a member that is true or false, or fallback where there is none.
func (m members) truth(name string, fallback bool) (bool, error) {
	switch raw, given := m[name]; {
	case !given:
		return fallback, nil
	case string(raw) == "true":
		return true, nil
	case string(raw) == "false":
		return false, nil
	}
	return false, badCall("the member %s must be true or false", name)
}

// title returns a member that is a name to know a thing by, or fallback where there
// is none: it is shown and logged. null is no name.
func (m members) title(name, fallback string) (string, error) {
	raw, given := m[name]
	if !given {
		return fallback, nil
	}
	if string(raw) == "null" {
		return "", nil
	}
	text, err := m.text(name)
	switch {
	case err != nil:
		return "", err
	case strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) || utf8.RuneCountInString(text) > maxTitle:
		return "", badCall("the member %s must have at most %d characters, all of which can be printed", name, maxTitle)
	case observe.Redact(text) != text:
		return "", badCall("the member %s looks like a credential", name)
	}
	return text, nil
}

// merged returns what was, an object of JSON or nothing, with what the object in a
// member changes (RFC 7396): what is null there is taken away. Depth is how many
// levels of objects there may be.
func (m members) merged(name string, was json.RawMessage, depth int) (json.RawMessage, error) {
	patch, given := m[name]
	if !given {
		return was, nil
	}
	changes, err := parseMembers("the member "+name, patch)
	if err != nil {
		return nil, err
	}
	next := make(members)
	if len(was) > 0 && was[0] == '{' {
		if next, err = parseMembers("the member "+name, was); err != nil {
			return nil, err
		}
	}
	for key, value := range changes {
		switch {
		case string(value) == "null":
			delete(next, key)
		case value[0] == '{' && depth > 1:
			if next[key], err = changes.merged(key, next[key], depth-1); err != nil {
				return nil, err
			}
		default:
			next[key] = value
		}
	}
	return json.Marshal(next)
}

// texts returns a member that is a list of texts.
func (m members) texts(name string) ([]string, error) {
	raw, ok := m[name]
	if !ok {
		return nil, nil
	}
	var list []*string
	if raw[0] != '[' || json.Unmarshal(raw, &list) != nil || slices.Contains(list, nil) {
		return nil, badCall("the member %s must be a list of texts", name)
	}
	texts := make([]string, len(list))
	for i, one := range list {
		texts[i] = *one
	}
	return texts, nil
}

// number returns a member that is a number of at least 0. Its error is the
// caller's where it is not.
func (m members) number(name string) (n float64, err error) {
	n, err = strconv.ParseFloat(string(m[name]), 64)
	if err != nil || n < 0 || math.IsInf(n, 0) {
		return 0, badCall("the member %s must be a number, of at least 0", name)
	}
	return n, nil
}

// seconds returns a member that is a time in seconds, or fallback where there is
// none.
func (m members) seconds(name string, fallback time.Duration, most float64) (time.Duration, error) {
	if _, given := m[name]; !given {
		return fallback, nil
	}
	n, err := m.number(name)
	if err != nil || n > most {
		return 0, badCall("the member %s must be in seconds, from 0 to %.0f", name, most)
	}
	return time.Duration(n * float64(time.Second)), nil
}

// maxSeconds is a time in seconds since 1970 that is none: it is in milliseconds.
const maxSeconds = 1e11

// moment returns a member that is a time: in seconds since 1970, or as a text of
// RFC 3339. It is zero where there is none.
func (m members) moment(name string) (time.Time, error) {
	raw, ok := m[name]
	switch {
	case !ok:
		return time.Time{}, nil
	case raw[0] == '"':
		var text string
		if err := json.Unmarshal(raw, &text); err != nil {
			return time.Time{}, badCall("the member %s is malformed", name)
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil || t.UTC().Year() < 1970 || t.UTC().Year() > 9999 {
			return time.Time{}, badCall("the member %s must be a time such as 2026-03-01T10:00:00Z, or in seconds since 1970", name)
		}
		return t.UTC(), nil
	}
	n, err := m.number(name)
	if err != nil {
		return time.Time{}, badCall("the member %s must be a time in seconds since 1970, or such as 2026-03-01T10:00:00Z", name)
	}
	if n > maxSeconds {
		return time.Time{}, badCall("the member %s must be in seconds since 1970; this looks like milliseconds", name)
	}
	whole, part := math.Modf(n)
	return time.Unix(int64(whole), int64(part*1e9)).UTC(), nil
}
