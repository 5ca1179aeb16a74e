package gateway

import (
	"bufio"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/usher-ws/usher/internal/head"
)

// FuzzAnswer: a head that is taken where it is read is one that net/http reads in
// the same way.
func FuzzAnswer(f *testing.F) {
	f.Add("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\n")
	f.Add("HTTP/1.1 101\r\nsec-websocket-accept:\r\n\r\n")
	f.Add("HTTP/1.1 101 \r\n\r\n")
	f.Add("HTTP/1.1  101 x\r\n\r\n")
	f.Add("HTTP/1.1 1012 x\r\n\r\n")
	f.Add("101 x\r\n\r\n")
	f.Add("HTTP/1.1 101 x\r\nContent-Length: 5\r\n\r\n")
	f.Add("HTTP/1.1 101 x\r\nPragma: no-cache\r\n\r\n")
	f.Add("HTTP/1.1 101 x\r\nTrailer: X\r\nTransfer-Encoding: chunked\r\n\r\n")
	f.Fuzz(func(t *testing.T, whole string) {
		size := head.Size([]byte(whole))
		if size == 0 {
			return
		}
		var got, want answer
		if !got.isPlain(whole[:size]) {
			return
		}
		res, err := http.ReadResponse(bufio.NewReader(strings.NewReader(whole)), nil)
		if err != nil {
			t.Fatalf("%q is plain, and not to net/http: %v", whole, err)
		}
		want.take(res)
		slices.SortStableFunc(got.fields, func(a, b head.Field) int { return strings.Compare(a.Name, b.Name) })
		if len(got.fields) == 0 {
			got.fields = nil
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("%q: got %+v, want %+v", whole, got, want)
		}
	})
}
