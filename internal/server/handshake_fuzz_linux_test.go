package server

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/head"
)

// A script is a connection on which the client has said all that it will say.
type script struct {
	text   *bytes.Reader
	served chan served
}

// served is what net/http made of a script. A refused one has no request.
type served struct {
	request *http.Request
	rest    []byte // What it has left behind the head.
}

func (s *script) Read(p []byte) (int, error)         { return s.text.Read(p) }
func (s *script) Write(p []byte) (int, error)        { return len(p), nil }
func (s *script) LocalAddr() net.Addr                { return &net.TCPAddr{} }
func (s *script) RemoteAddr() net.Addr               { return &net.TCPAddr{} }
func (s *script) SetDeadline(time.Time) error        { return nil }
func (s *script) SetReadDeadline(time.Time) error    { return nil }
func (s *script) SetWriteDeadline(t time.Time) error { return nil }

func (s *script) Close() error {
	select {
	case s.served <- served{}:
	default: // It was served, or is closed already.
	}
	return nil
}

// standard is net/http's server, with the bounds of the gateway's.
type standard struct{ conns chan net.Conn }

func newStandard(t testing.TB) *standard {
	std := &standard{make(chan net.Conn)}
	srv := (&Server{kept: &kept{log: slog.New(slog.DiscardHandler)}}).newHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s := r.Context().Value(connKey{}).(*script)
		c, buf, err := http.NewResponseController(w).Hijack()
		if err != nil {
			panic(err)
		}
		defer c.Close()
		rest, err := io.ReadAll(buf)
		if err != nil {
			panic(err)
		}
		s.served <- served{r, rest}
	}))
	srv.ConnContext = func(ctx context.Context, c net.Conn) context.Context { return context.WithValue(ctx, connKey{}, c) }
	over := make(chan struct{})
	go func() {
		defer close(over)
		_ = srv.Serve(&pipeListener{std.conns})
	}()
	t.Cleanup(func() {
		close(std.conns)
		<-over
		_ = srv.Close()
	})
	return std
}

func (std *standard) serve(text []byte) served {
	s := &script{bytes.NewReader(text), make(chan served, 1)}
	std.conns <- s
	return <-s.served
}

// take is what an arrival makes of text, if the text comes at once. It is nil of
// what goes to net/http.
func take(text []byte) (r *http.Request, rest []byte) {
	size := head.Size(text[:min(len(text), roomSize)])
	if size == 0 {
		return nil, nil
	}
	return handshakeOf(string(text[:size])), text[size:]
}

// sameRequest fails the test where a request that an arrival has made of text is
// not the one that net/http makes of it.
func sameRequest(t *testing.T, std *standard, text []byte) (taken bool) {
	t.Helper()
	got, rest := take(text)
	if got == nil {
		return false
	}
	want := std.serve(text)
	if want.request == nil {
		t.Fatalf("%q: was taken, and is refused by net/http", text)
	}
	if !bytes.Equal(rest, want.rest) {
		t.Errorf("%q: got %q behind it, want %q", text, rest, want.rest)
	}
	g, w := reflect.ValueOf(got).Elem(), reflect.ValueOf(want.request).Elem()
	for i := range g.NumField() {
		f := g.Type().Field(i)
		if !f.IsExported() || f.Name == "RemoteAddr" { // That is of the connection, and not of the text.
			continue
		}
		if g, w := g.Field(i).Interface(), w.Field(i).Interface(); f.Type.Kind() == reflect.Func {
			if !reflect.ValueOf(g).IsNil() || !reflect.ValueOf(w).IsNil() {
				t.Errorf("%q: got a function as %s", text, f.Name)
			}
		} else if !reflect.DeepEqual(g, w) {
			t.Errorf("%q: %s: got %#v, want %#v", text, f.Name, g, w)
		}
	}
	// Who adds to one header does not change another.
	before := got.Header.Clone()
	for _, name := range slices.Sorted(maps.Keys(got.Header)) {
		_ = append(got.Header[name], "added")
	}
	if !reflect.DeepEqual(got.Header, before) {
		t.Errorf("%q: got %q after adding, want %q", text, got.Header, before)
	}
	return true
}

// FuzzHandshake: of what is served before net/http, net/http makes the same
// request, to the byte.
func FuzzHandshake(f *testing.F) {
	for _, l := range everyday {
		f.Add([]byte(l.head()))
	}
	for _, text := range oddHeads() {
		f.Add([]byte(text))
	}
	std := newStandard(f)
	f.Fuzz(func(t *testing.T, text []byte) { sameRequest(t, std, text) })
}

// TestHandshakesTaken holds FuzzHandshake to having something to compare: what
// clients send is taken, and of the odd heads some are and most are not.
func TestHandshakesTaken(t *testing.T) {
	std := newStandard(t)
	for _, l := range everyday {
		if !sameRequest(t, std, []byte(l.head())) {
			t.Errorf("was left to net/http:\n%s", l.head())
		}
	}
	taken := 0
	heads := oddHeads()
	for _, text := range heads {
		if sameRequest(t, std, []byte(text)) {
			taken++
		}
	}
	if left := len(heads) - taken; taken < 100 || left < 250 {
		t.Errorf("of the odd heads got %d taken and %d left, want a good deal of both", taken, left)
	}
}
