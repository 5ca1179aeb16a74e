// Package head reads the heads of HTTP/1.1 messages that are plain: as everybody
// writes them who writes them well. Of all others, and of all that HTTP allows
// besides, it says that they are not plain and nothing else: they are for
// net/http. What is plain net/http reads in the same way, to the byte, which a
// fuzz test holds it to. It knows no header by its meaning, and does no I/O.
package head

import (
	"bytes"
	"net/http"
	"strings"
)

// maxFields bounds the headers of a plain head.
const maxFields = 64

// A Field is a header as net/http has it: its name in canonical form, its value
// without white space around it.
type Field struct{ Name, Value string }

// Size returns how long the head is that b begins with, with its empty line. It
// is 0 if more of it is to come.
func Size(b []byte) int {
	if at := bytes.Index(b, end); at >= 0 {
		return at + len(end)
	}
	return 0
}

var end = []byte("\r\n\r\n")

// Parse splits text, which is a whole head as Size finds it, into its first line
// and its fields, which are appended to into. It reports whether the head is
// plain: each line ends in CR LF, a name is a token (RFC 9110 §5.6.2) right before
// its colon, and values have no other control character than a tab. What the
// first line says is not looked at, but for that. The results are parts of text.
func Parse(text string, into []Field) (line string, fields []Field, plain bool) {
	line, rest, _ := strings.Cut(text, "\r\n")
	if !printable(line) {
		return "", nil, false
	}
	for range maxFields {
		if rest == "\r\n" {
			return line, into, true
		}
		n := 0
		for n < len(rest) && tokens[rest[n]] {
			n++
		}
		if n == 0 || n == len(rest) || rest[n] != ':' {
			return "", nil, false
		}
		name := rest[:n]
		value, after, _ := strings.Cut(rest[n+1:], "\r\n")
		if !printable(value) {
			return "", nil, false
		}
		into = append(into, Field{canonical(name), strings.Trim(value, " \t")})
		rest = after
	}
	return "", nil, false
}

// printable reports whether s has no control character but tabs.
func printable(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// canonical is [http.CanonicalHeaderKey], which makes a string each time of what
// RFC 6455 writes in its own way.
func canonical(name string) string {
	if strings.HasPrefix(name, "Sec-WebSocket-") {
		if own, ok := webSocket[name]; ok {
			return own
		}
	}
	return http.CanonicalHeaderKey(name)
}

var webSocket = map[string]string{
	"Sec-WebSocket-Key": "Sec-Websocket-Key", "Sec-WebSocket-Version": "Sec-Websocket-Version",
	"Sec-WebSocket-Accept": "Sec-Websocket-Accept", "Sec-WebSocket-Protocol": "Sec-Websocket-Protocol",
	"Sec-WebSocket-Extensions": "Sec-Websocket-Extensions",
}

// tokens are the bytes that a token is made of.
var tokens = func() (set [256]bool) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") {
		set[c] = true
	}
	return set
}()
