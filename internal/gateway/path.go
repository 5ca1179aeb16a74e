package gateway

import (
	"errors"
	"net/url"
	"strings"
)

// A pathRule says which segments of a request's path are joined to the
// upstream's: what the wildcards of the route's ServeMux pattern have matched,
// in their order. "/app/" ends in a wildcard without a name, and {$} in none.
type pathRule []segmentKind

type segmentKind uint8

const (
	fixed segmentKind = iota // Part of the pattern: not joined.
	one                      // {name}
	rest                     // {name...}, or after a slash at the end.
)

func newPathRule(pattern string) pathRule {
	_, path, _ := strings.Cut(pattern, "/")
	var rule pathRule
	for segment := range strings.SplitSeq(path, "/") {
		kind := fixed
		switch {
		case segment == "" || strings.HasSuffix(segment, "...}"):
			kind = rest
		case strings.HasPrefix(segment, "{") && segment != "{$}":
			kind = one
		}
		rule = append(rule, kind)
	}
	return rule
}

// errDots: joined to the upstream's path, a dot segment could lead out of it,
// since many servers resolve it after decoding.
var errDots = errors.New("dot segment in what the route's pattern matched")

// tail returns what is joined to the upstream's path, escaped as it came: an
// escaped slash stays one.
func (rule pathRule) tail(u *url.URL) (string, error) {
	path := strings.TrimPrefix(u.EscapedPath(), "/")
	var parts []string
	for _, kind := range rule {
		if kind == rest {
			parts = append(parts, path)
			break
		}
		var segment string
		segment, path, _ = strings.Cut(path, "/")
		if kind == one {
			parts = append(parts, segment)
		}
	}
	tail := strings.Join(parts, "/")
	plain, err := url.PathUnescape(tail)
	if err != nil {
		return "", err
	}
	for _, segment := range strings.FieldsFunc(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
		// Some servers take what follows a ";" for no part of the segment.
		if name, _, _ := strings.Cut(segment, ";"); name == "." || name == ".." {
			return "", errDots
		}
	}
	return tail, nil
}

// join returns base with tail, which is escaped, and the query joined to it: the
// path, and the query with its question mark if there is one.
func join(base *url.URL, tail, query string) (path, whole string) {
	path = base.EscapedPath()
	if tail != "" {
		path = strings.TrimSuffix(path, "/") + "/" + tail
	}
	if path == "" {
		path = "/"
	}
	switch {
	case base.RawQuery == "" && query == "":
		if base.ForceQuery {
			return path, "?"
		}
		return path, ""
	case base.RawQuery == "" || query == "":
		return path, "?" + base.RawQuery + query
	}
	return path, "?" + base.RawQuery + "&" + query
}

// joinURL is join to a URL.
func joinURL(base *url.URL, tail, query string) *url.URL {
	path, query := join(base, tail, query)
	u := *base
	u.RawPath = path
	if unescaped, err := url.PathUnescape(path); err == nil {
		u.Path = unescaped
	}
	u.RawQuery = strings.TrimPrefix(query, "?")
	return &u
}
