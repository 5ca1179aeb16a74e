package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// stripCookies takes the cookies of these names out of h. The others stay byte
// for byte: servers differ in what they take for a cookie.
func stripCookies(h http.Header, names []string) {
	var lines []string
	for _, line := range h["Cookie"] {
		if kept := withoutCookies(line, names); kept != "" {
			lines = append(lines, kept)
		}
	}
	if len(lines) == 0 {
		delete(h, "Cookie")
		return
	}
	h["Cookie"] = lines
}

// withoutCookies returns a line of Cookie without those of these names.
func withoutCookies(line string, names []string) string {
	pairs := strings.Split(line, ";")
	kept := slices.DeleteFunc(slices.Clone(pairs), func(pair string) bool {
		name, _, _ := strings.Cut(pair, "=")
		return slices.Contains(names, strings.Trim(name, " \t"))
	})
	if len(kept) == len(pairs) {
		return line
	}
	return strings.Trim(strings.Join(kept, ";"), " \t")
}
