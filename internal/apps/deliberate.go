package apps

import (
	"encoding/base64"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// Deliberate has an API key that came as Basic, which is how SDKs send it, count
// as what it is: something that a program chose to send. Browsers attach by
// themselves what a user has typed when challenged, and the hub challenges
// nobody; what has not the form of a key is left alone, and is nobody's.
func Deliberate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if values := r.Header["Authorization"]; len(values) == 1 {
			if key, ok := basicKey(values[0]); ok {
				clean := *r
				clean.Header = r.Header.Clone()
				clean.Header["Authorization"] = []string{"Bearer " + key}
				r = &clean
			}
		}
		next.ServeHTTP(w, r)
	})
}

func basicKey(value string) (string, bool) {
	scheme, rest, _ := strings.Cut(value, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return "", false
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(rest))
	if err != nil {
		return "", false
	}
	_, _, ok := ably.ParseKey(string(raw))
	return string(raw), ok
}

// BringsKey reports whether a request has an API key in it, in one of the ways that
// [Carriers] and [Deliberate] take.
func BringsKey(r *http.Request) bool {
	for _, value := range r.Header["Authorization"] {
		if _, ok := basicKey(value); ok {
			return true
		}
		if scheme, token, _ := strings.Cut(value, " "); strings.EqualFold(scheme, "Bearer") && isKey(unwrapped(strings.TrimSpace(token))) {
			return true
		}
	}
	q := r.URL.Query()
	for _, name := range []string{"access_token", "accessToken", "key"} {
		if slices.ContainsFunc(q[name], isKey) {
			return true
		}
	}
	return false
}

// IsKey reports whether a credential has the form of an API key, and not of a token.
func IsKey(c usher.Credential) bool {
	text := c.Secret.Reveal()
	return c.Kind == usher.KindToken && (isKey(text) || isKey(unwrapped(text)))
}

func isKey(text string) bool {
	_, _, ok := ably.ParseKey(text)
	return ok
}
