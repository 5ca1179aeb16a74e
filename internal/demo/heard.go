package demo

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// identityHeader has the gateway's JWT about who is there.
const identityHeader = "X-Usher-Identity"

// A heard is the head of a request as a backend received it: nothing left out,
// nothing in another order.
type heard struct {
	Line    string      `json:"line"`
	Headers [][2]string `json:"headers"`
}

// parseHead reads the head of a request, without the empty line at its end.
func parseHead(head []byte) heard {
	line, rest, _ := bytes.Cut(head, []byte("\r\n"))
	h := heard{Line: string(line)}
	for header := range bytes.SplitSeq(rest, []byte("\r\n")) {
		if name, value, ok := strings.Cut(string(header), ":"); ok {
			h.Headers = append(h.Headers, [2]string{name, strings.TrimSpace(value)})
		}
	}
	return h
}

// ordinary are headers that are no credential. Of those that are in neither
// list, a backend's page shows the name and the length.
var ordinary = map[string]bool{
	"Accept": true, "Accept-Encoding": true, "Accept-Language": true, "Cache-Control": true, "Content-Length": true,
	"Dnt": true, "Pragma": true, "Priority": true, "Sec-Fetch-Dest": true, "Sec-Fetch-Mode": true, "Sec-Fetch-User": true,
	"Sec-Gpc": true, "Sec-Websocket-Extensions": true, "Sec-Websocket-Key": true, "User-Agent": true, "X-User": true,
	"X-Forwarded-For": true, "X-Forwarded-Host": true, "X-Forwarded-Proto": true, "Sec-Ch-Ua": true,
	"Sec-Ch-Ua-Mobile": true, "Sec-Ch-Ua-Platform": true, "Host": true,
}

// event is what the page shows of it, for the backend called name.
func (h heard) event(name string) event {
	e := event{Kind: "backend", Backend: name}
	method, rest, _ := strings.Cut(h.Line, " ")
	target, proto, _ := strings.Cut(rest, " ")
	shown := masked(target)
	if u, err := url.ParseRequestURI(target); err == nil {
		shown, e.Try = maskTarget(u), tryIn(u)
	}
	e.Line = asIs(fmt.Sprintf("%s %s %s", method, shown, proto))
	for _, header := range h.Headers {
		value := header[1]
		switch key := http.CanonicalHeaderKey(header[0]); {
		case key == identityHeader:
			e.JWTHeader, e.Claims = decodeJWT(value)
			value = masked(value)
		case ordinary[key]:
			value = asIs(value)
		default:
			value = maskHeader(key, value)
		}
		e.Fields = append(e.Fields, field{asIs(header[0]), value})
	}
	return e
}

// decodeJWT returns the members of a JWT's first two parts. The third is what
// would make it good for something, and is not shown.
func decodeJWT(token string) (header, claims []field) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	return decodePart(parts[0]), decodePart(parts[1])
}

func decodePart(part string) []field {
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		return nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil
	}
	fields := make([]field, 0, len(members))
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value := string(members[name])
		if text := ""; json.Unmarshal(members[name], &text) == nil {
			value = text
		}
		fields = append(fields, field{asIs(name), asIs(value)})
	}
	return fields
}
