package apps

import (
	"encoding/base64"
	"net/http"
	"strings"

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
