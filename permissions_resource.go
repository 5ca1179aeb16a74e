package usher

import (
	"errors"
	"slices"
	"strings"
	"unicode"
)

// maxResource bounds the name of a resource in a capability, in bytes.
const maxResource = 1024

// A resource is a name in a capability, ready to be compared with others.
type resource struct {
	text      string
	qualifier string   // Without brackets: "" is none, "*" is any and none.
	segments  []string // "*" is any one; the last is any that follow, at least one.
	wild      bool     // It covers others than itself.
}

func parseResource(text string) (resource, error) {
	switch {
	case text == "":
		return resource{}, errors.New("empty")
	case len(text) > maxResource:
		return resource{}, errors.New("longer than 1024 bytes")
	case strings.ContainsFunc(text, unicode.IsControl):
		return resource{}, errors.New("with a control character")
	}
	qualifier, name, ok := cutQualifier(text)
	if !ok {
		return resource{}, errors.New("malformed: it must be a name, with a qualifier in brackets before it or without")
	}
	segments := strings.Split(name, ":")
	wild := slices.Contains(segments, "*") || qualifier != "" && !strings.Contains(qualifier, "=")
	return resource{text, qualifier, segments, wild}, nil
}

// cutQualifier separates "[meta]log". Neither part may be empty.
func cutQualifier(text string) (qualifier, name string, ok bool) {
	rest, bracket := strings.CutPrefix(text, "[")
	if !bracket {
		return "", text, text != ""
	}
	qualifier, name, ok = strings.Cut(rest, "]")
	return qualifier, name, ok && qualifier != "" && qualifier[0] != '=' && name != ""
}

// covers reports whether r stands for the name. If that has wildcards itself, r
// stands for all that it stands for: a wildcard of r takes a wildcard as it
// takes a text, and a text of r is no wildcard.
func (r *resource) covers(name string) bool {
	qualifier, rest, more := cutQualifier(name)
	if !more || !r.takes(qualifier) {
		return false
	}
	for i, want := range r.segments {
		if !more {
			return false
		}
		if want == "*" && i == len(r.segments)-1 {
			return true
		}
		var segment string
		segment, rest, more = strings.Cut(rest, ":")
		if want != "*" && want != segment {
			return false
		}
	}
	return !more
}

// takes reports whether a name with this qualifier can be one of r.
func (r *resource) takes(qualifier string) bool {
	if r.qualifier == "*" || r.qualifier == qualifier {
		return true
	}
	kind, _, parameter := strings.Cut(qualifier, "=")
	return parameter && kind == r.qualifier
}
