package gateway

import (
	"net/http"
	"slices"
	"strings"
)

// stripCookies takes the cookies of these names out of h. The others stay byte
// for byte: servers differ in what they take for a cookie.
func stripCookies(h http.Header, names []string) {
	if lines := keptCookies(h["Cookie"], names); len(lines) > 0 {
		h["Cookie"] = lines
	} else {
		delete(h, "Cookie")
	}
}

// keptCookies returns lines of Cookie without the cookies of these names.
func keptCookies(lines, names []string) []string {
	var kept []string
	for _, line := range lines {
		if line = withoutCookies(line, names); line != "" {
			kept = append(kept, line)
		}
	}
	return kept
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
