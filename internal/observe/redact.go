package observe

import (
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// redacted stands where a credential was.
const redacted = "[redacted]"

// secretKeys are names of attributes whose value is a credential, in lower case
// and with "_" for what separates words.
var secretKeys = []string{
	"token", "authorization", "proxy_authorization", "ticket", "cookie", "set_cookie", "password", "passwd", "secret",
	"credential", "api_key",
}

// secretEnds are what the names of more of them end in, such as access_token.
var secretEnds = []string{"_token", "_ticket", "_cookie", "_password", "_secret", "_api_key"}

func isSecretKey(key string) bool {
	key = strings.ReplaceAll(strings.ToLower(key), "-", "_")
	return slices.Contains(secretKeys, key) ||
		slices.ContainsFunc(secretEnds, func(end string) bool { return strings.HasSuffix(key, end) })
}

// redact replaces what looks like a credential, in attributes and in the
// message. It is a [slog.HandlerOptions.ReplaceAttr].
func redact(groups []string, a slog.Attr) slog.Attr {
	value := a.Value.Resolve()
	switch value.Kind() {
	case slog.KindString, slog.KindAny:
	default:
		return a // Numbers and times are not credentials.
	}
	if isSecretKey(a.Key) || slices.ContainsFunc(groups, isSecretKey) {
		return slog.String(a.Key, redacted)
	}
	switch v := value.Any().(type) {
	case string:
		return slog.String(a.Key, Redact(v))
	case *slog.Source:
		return a
	case http.Header, *http.Header, *http.Request, *http.Response:
		return slog.String(a.Key, redacted) // Nobody needs all of it.
	default:
		text := fmt.Sprintf("%+v", v)
		if clean := Redact(text); clean != text {
			return slog.String(a.Key, clean)
		}
		return a
	}
}

// What credentials look like wherever they stand. The first group is kept.
var secretShapes = []*regexp.Regexp{
	// A JSON Web Token: its header is a JSON object, which begins with {" .
	regexp.MustCompile(`()\beyJ[\w-]{6,}(?:\.[\w-]*)*`),
	// A parameter in a URL, in clear or in percent.
	regexp.MustCompile(`(?i)([?&;](?:[\w-]*token|ticket|code|password|secret|api_?key)=)[^&;\s"']+`),
	// What follows a scheme of Authorization (RFC 9110 §11.4).
	regexp.MustCompile(`(?i)((?:authorization|cookie)["']?\s*[:=]\s*\[?["']?(?:bearer |basic |dpop )?)[^\s"'\]]+`),
	regexp.MustCompile(`(\b[Bb]earer )[\w.~+/=-]{12,}`),
	// A subprotocol that carries one.
	regexp.MustCompile(`(\b(?:usher\.(?:bearer|ticket|csrf)\.|base64url\.bearer\.(?:phx\.|authorization\.k8s\.io\.)))[\w-]+`),
	// A member of a JSON object.
	regexp.MustCompile(`(?i)("(?:[\w-]*token|ticket|password|secret)"\s*:\s*")[^"]+`),
	// An API key. What comes before its secret is its id.
	regexp.MustCompile(`(\busher_[a-z2-7]{12}_)[\w-]+`),
	// A key of the hub's, as the SDKs take it. What comes before its secret is its
	// name.
	regexp.MustCompile(`(\b[\w-]{1,64}\.[\w-]{1,64}:)[\w+/=-]{16,}`),
	// Nothing that a person would write: a ticket, an opaque token, a key.
	regexp.MustCompile(`()\b[\w-]{64,}`),
}

// Redact returns text with what looks like a credential replaced. It is not a
// promise: who logs must not log credentials.
func Redact(text string) string {
	for _, shape := range secretShapes {
		text = shape.ReplaceAllString(text, "${1}"+redacted)
	}
	return text
}
