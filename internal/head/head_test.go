package head_test

import (
	"bufio"
	"bytes"
	"io"
	"net/textproto"
	"reflect"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/head"
)

// heads are some that are plain, and some that are not.
var heads = []struct {
	text  string
	plain bool
}{
	{"GET /chat HTTP/1.1\r\nHost: x\r\n\r\n", true},
	{"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nSEC-WEBSOCKET-ACCEPT:  a b \t\r\nX:\r\nX: 2\r\n\r\nrest", true},
	{"\r\n\r\n", true},
	{"GET / HTTP/1.1\r\nX: \xc3\xa4\xff\ta\r\n\r\n", true},
	{"GET / HTTP/1.1\nHost: x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\nY: z\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\n\r\nY: z\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\rY: z\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\r\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\x00\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\x7f\r\n\r\n", false},
	{"GET /\x0b HTTP/1.1\r\nHost: x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost : x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\r\n folded: y\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost: x\r\n\tfolded\r\n\r\n", false},
	{"GET / HTTP/1.1\r\n Host: x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\n: x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nHost\r\n\r\n", false},
	{"GET / HTTP/1.1\r\nH\xc3\xb6st: x\r\n\r\n", false},
	{"GET / HTTP/1.1\r\n" + strings.Repeat("X: y\r\n", 100) + "\r\n", false},
}

func TestPlain(t *testing.T) {
	for _, tt := range heads {
		size := head.Size([]byte(tt.text))
		if size == 0 {
			t.Fatalf("%q: got no end", tt.text)
		}
		if _, _, plain := head.Parse(tt.text[:size], nil); plain != tt.plain {
			t.Errorf("%q: got plain %t, want %t", tt.text, plain, tt.plain)
		}
	}
	for _, half := range []string{"", "\r\n\r", "GET / HTTP/1.1\r\nHost: x\r\n"} {
		if size := head.Size([]byte(half)); size != 0 {
			t.Errorf("%q: got an end at %d, want none", half, size)
		}
	}
}

// FuzzParse: what is plain is what the standard library reads, with the same
// first line and the same headers, and as much is left behind it.
func FuzzParse(f *testing.F) {
	for _, tt := range heads {
		f.Add([]byte(tt.text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		size := head.Size(data)
		if size == 0 {
			return
		}
		line, fields, plain := head.Parse(string(data[:size]), nil)
		if !plain {
			return
		}
		rd := bufio.NewReader(bytes.NewReader(data))
		std := textproto.NewReader(rd)
		wantLine, err := std.ReadLine()
		if err != nil || line != wantLine {
			t.Fatalf("%q: got the line %q, want %q, %v", data, line, wantLine, err)
		}
		want, err := std.ReadMIMEHeader()
		if err != nil {
			t.Fatalf("%q is plain, and not to the standard library: %v", data, err)
		}
		got := make(textproto.MIMEHeader)
		for _, field := range fields {
			got[field.Name] = append(got[field.Name], field.Value)
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %q, want %q", data, got, want)
		}
		if rest, _ := io.ReadAll(rd); !bytes.Equal(rest, data[size:]) {
			t.Errorf("%q: got %q behind it, want %q", data, rest, data[size:])
		}
	})
}
