package demo

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"
)

// masked stands for a text of which nothing is shown but its length. The page
// shows what is between the marks as a label.
func masked(text string) string {
	if text == "" {
		return ""
	}
	return fmt.Sprintf("‹%d characters›", utf8.RuneCountInString(text))
}

// shownHeaders are the headers that have a part in a handshake, in the order
// in which they are shown, with what may be shown of their values. All others
// are left out. A list of what is shown cannot forget a credential, as a list
// of what is hidden could.
var shownHeaders = []struct {
	name string
	show func(value string) string
}{
	{"Origin", asIs},
	{"Sec-Fetch-Site", asIs},
	{"Connection", asIs},
	{"Upgrade", asIs},
	{"Sec-Websocket-Version", asIs},
	{"Sec-Websocket-Protocol", maskSubprotocols},
	{"Authorization", maskAuthorization},
	{"Cookie", maskCookies},
	{"X-Csrf-Token", masked},
	{"X-Requested-With", masked},
	{"Content-Type", asIs},
}

// maxShown bounds a value that is shown as it is.
const maxShown = 200

func asIs(value string) string {
	if len(value) > maxShown {
		return masked(value)
	}
	return value
}

// maskHeaders returns what may be shown of the headers of a request to host.
func maskHeaders(host string, h http.Header) []field {
	fields := []field{{"Host", asIs(host)}}
	for _, shown := range shownHeaders {
		for _, value := range h[shown.name] {
			fields = append(fields, field{headerLabel(shown.name), shown.show(value)})
		}
	}
	return fields
}

// maskHeader returns what may be shown of a header's value.
func maskHeader(name, value string) string {
	for _, shown := range shownHeaders {
		if shown.name == name {
			return shown.show(value)
		}
	}
	return masked(value)
}

// headerLabel spells a header as RFC 6455 does, and not as Go does.
func headerLabel(name string) string {
	return strings.Replace(name, "Websocket", "WebSocket", 1)
}

// maskTarget returns what may be shown of a request target: its path, and the
// values of the two parameters that are no secrets.
func maskTarget(u *url.URL) string {
	var out strings.Builder
	out.WriteString(u.EscapedPath())
	sep := byte('?')
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		if pair == "" {
			continue
		}
		out.WriteByte(sep)
		sep = '&'
		name, value, _ := strings.Cut(pair, "=")
		switch name {
		case "route", "try":
			out.WriteString(name + "=" + asIs(value))
		case "access_token", "ticket", "csrf_token":
			out.WriteString(name + "=" + masked(value))
		default:
			out.WriteString(masked(pair))
		}
	}
	return out.String()
}

// maskSubprotocols shows the application's subprotocol, and of the others only
// the part that says what they are.
func maskSubprotocols(value string) string {
	var out []string
	for entry := range strings.SplitSeq(value, ",") {
		entry = strings.TrimSpace(entry)
		if entry != subprotocol {
			kind := ""
			for _, prefix := range []string{"usher.bearer.", "usher.ticket.", "usher.csrf."} {
				if strings.HasPrefix(entry, prefix) {
					kind = prefix
				}
			}
			entry = kind + masked(entry[len(kind):])
		}
		out = append(out, entry)
	}
	return strings.Join(out, ", ")
}

func maskAuthorization(value string) string {
	for _, scheme := range []string{"Bearer ", "Basic "} {
		if rest, ok := strings.CutPrefix(value, scheme); ok {
			return scheme + masked(rest)
		}
	}
	return masked(value)
}

// maskCookies shows the cookies' names, and the value of the one that stands
// for cookies which are nobody's secret.
func maskCookies(value string) string {
	var out []string
	for pair := range strings.SplitSeq(value, ";") {
		pair = strings.TrimSpace(pair)
		name, content, ok := strings.Cut(pair, "=")
		switch {
		case !ok:
			pair = masked(pair)
		case name == themeCookie && (content == "light" || content == "dark"):
		default:
			pair = asIs(name) + "=" + masked(content)
		}
		out = append(out, pair)
	}
	return strings.Join(out, "; ")
}

// maskMessage shows the shape of a first message: the names of its members,
// and the values that can be no credential.
func maskMessage(text []byte) string {
	var members map[string]any
	if err := json.Unmarshal(text, &members); err != nil || members == nil {
		return masked(string(text))
	}
	var out []string
	for _, name := range []string{"type", "ack", "token", "ticket"} {
		value, ok := members[name]
		if !ok {
			continue
		}
		delete(members, name)
		switch v := value.(type) {
		case bool:
			out = append(out, fmt.Sprintf("%q: %t", name, v))
		case string:
			if name != "type" || v != "auth" {
				v = masked(v)
			}
			out = append(out, fmt.Sprintf("%q: %q", name, v))
		default:
			out = append(out, fmt.Sprintf("%q: ‹hidden›", name))
		}
	}
	if len(members) > 0 {
		out = append(out, fmt.Sprintf("‹%d more›", len(members)))
	}
	return "{" + strings.Join(out, ", ") + "}"
}

// maskAnswer returns the status line and the telling headers of an answer's
// head.
func maskAnswer(head []byte) (string, []field) {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	var fields []field
	for header := range bytes.SplitSeq(rest, []byte("\r\n")) {
		name, value, _ := strings.Cut(string(header), ":")
		if f, ok := answerField(http.CanonicalHeaderKey(name), strings.TrimSpace(value)); ok {
			fields = append(fields, f)
		}
	}
	return asIs(string(line)), fields
}

func answerField(name, value string) (field, bool) {
	switch name {
	case "Sec-Websocket-Protocol":
		return field{headerLabel(name), maskSubprotocols(value)}, true
	case "Upgrade", "Www-Authenticate", "Content-Type":
		return field{name, asIs(value)}, true
	}
	return field{}, false
}
