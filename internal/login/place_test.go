package login

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzPlace: what passes for a path of this site leads to this site, also for
// whoever drops what browsers drop and takes a backslash for a slash. It is
// private, since through a login no two readings of a place can be compared.
func FuzzPlace(f *testing.F) {
	for _, place := range []string{"/", "/a?b#c", "//evil.example", `/\evil.example`, "/\t/evil.example", "https://evil.example", "/%2f%2fevil"} {
		f.Add(place)
	}
	base, err := url.Parse("https://app.example.com/auth/callback")
	if err != nil {
		f.Fatal(err)
	}
	lenient := strings.NewReplacer("\t", "", "\r", "", "\n", "", `\`, "/")
	f.Fuzz(func(t *testing.T, place string) {
		if checkPlace(place) != nil {
			return
		}
		for _, read := range []string{place, lenient.Replace(place), strings.TrimSpace(place)} {
			u, err := base.Parse(read)
			if err != nil || u.Host != base.Host || u.Scheme != base.Scheme {
				t.Errorf("%q leads to %v, %v", place, u, err)
			}
		}
	})
}
