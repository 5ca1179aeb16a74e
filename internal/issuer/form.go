package issuer

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	// maxForm bounds the body of a request, in bytes: a token of 8 KiB and
	// permissions of 16, each byte of them in percent.
	maxForm = 80 << 10
	// maxTargets bounds how many audiences a request may name.
	maxTargets = 8
)

// A form holds the parameters of a request that are not empty.
type form map[string][]string

// repeatable are the parameters that may be there more than once (RFC 8693 §2.1,
// RFC 8707 §2). Of all others RFC 6749 §3.2 says that they must not.
var repeatable = map[string]bool{"audience": true, "resource": true}

// readForm reads the body. Its errors quote nothing that was sent.
func readForm(w http.ResponseWriter, r *http.Request) (form, error) {
	if r.URL.RawQuery != "" || r.URL.ForceQuery {
		return nil, bad(codeRequest, "parameters belong in the body: a URL ends up in logs")
	}
	kinds := r.Header["Content-Type"]
	if len(kinds) != 1 {
		return nil, bad(codeRequest, "the body must be application/x-www-form-urlencoded")
	}
	kind, _, err := mime.ParseMediaType(kinds[0])
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return nil, bad(codeRequest, "the body must be application/x-www-form-urlencoded")
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxForm))
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, &failure{status: http.StatusRequestEntityTooLarge, code: codeRequest, about: "the body is too large"}
	}
	if err != nil {
		return nil, bad(codeRequest, "the body could not be read")
	}
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, bad(codeRequest, "the body is malformed")
	}
	f := make(form, len(values))
	for name, list := range values {
		if len(list) > 1 && (!repeatable[name] || len(list) > maxTargets) {
			return nil, bad(codeRequest, "a parameter is there more than once, or too often")
		}
		for _, value := range list {
			if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
				return nil, bad(codeRequest, "a parameter is not UTF-8, or has a control character in it")
			}
			if value != "" { // An empty one counts as left out (RFC 6749 §3.2).
				f[name] = append(f[name], value)
			}
		}
	}
	return f, nil
}

// text returns a parameter, or "".
func (f form) text(name string) string {
	if list := f[name]; len(list) > 0 {
		return list[0]
	}
	return ""
}

func (f form) has(name string) bool { return len(f[name]) > 0 }
