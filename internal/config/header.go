package config

import (
	"errors"
	"fmt"
	"net/textproto"
	"slices"
	"strings"
)

// reserved are headers that the handshake itself is made of (RFC 9110 §7.6.1,
// RFC 6455 §4.1) and those by which the gateway tells of the client. They are
// in the form of folded.
var reserved = []string{
	"host", "connection", "upgrade", "keep-alive", "te", "trailer", "transfer-encoding", "content-length",
	"content-type", "expect", "origin", "forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto",
}

func readHeaderName(text string) (HeaderName, error) {
	const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	if text == "" || len(text) > 128 || strings.Trim(text, letters+"!#$%&'*+-.^_`|~") != "" {
		return "", errors.New("want the name of a header, such as X-User")
	}
	name := HeaderName(textproto.CanonicalMIMEHeaderKey(text))
	f := name.folded()
	if slices.Contains(reserved, f) || strings.HasPrefix(f, "sec-websocket-") || strings.HasPrefix(f, "proxy-") {
		return "", fmt.Errorf("the header %s is the handshake's own; want another, such as X-User", name)
	}
	return name, nil
}

// folded returns the name as those servers see it who map header names to
// variables: two names of one folded form are one name to them.
func (h HeaderName) folded() string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, string(h))
}
