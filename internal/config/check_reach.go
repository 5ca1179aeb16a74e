package config

import (
	"net/url"
	"strings"
)

// reachable reports whether a request can match the path of a route: those with
// an element that is empty, "." or "..", in any spelling, are turned away before
// they are matched.
func reachable(pattern string) bool {
	plain, err := url.PathUnescape(pattern)
	if err != nil {
		plain = pattern
	}
	if strings.Contains(pattern, "//") {
		return false
	}
	for element := range strings.FieldsFuncSeq(plain, func(r rune) bool { return r == '/' || r == '\\' }) {
		if element == "." || element == ".." {
			return false
		}
	}
	return true
}

// params holds the parameters of the query apart in which carriers look: one
// value would be taken for both.
func (k *checker) params(p path, r *Route) {
	by := make(map[string]string)
	for i, c := range r.Carriers {
		name := ""
		switch {
		case c.Ticket != nil:
			name = c.Ticket.Param
		case c.Query != nil:
			name = c.Query.Param
		}
		if name == "" {
			continue
		}
		at := p.with(i, c.Name(), "param")
		if other, taken := by[name]; taken {
			k.report(at, "is the parameter of %s as well", other)
			continue
		}
		by[name] = p.with(i, c.Name()).String()
	}
}
