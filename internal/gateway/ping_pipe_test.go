package gateway

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
)

// every is the Ping of most routes here.
const every = 10 * time.Second

// A wire is the ResponseWriter of a request on an in-memory connection, for
// tests in which time is not the machine's.
type wire struct {
	net.Conn
	header http.Header
}

func (w *wire) Header() http.Header { return w.header }

func (w *wire) WriteHeader(status int) {
	res := http.Response{StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, ContentLength: -1}
	_ = res.Write(w.Conn)
}

func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.Conn, bufio.NewReadWriter(bufio.NewReader(w.Conn), bufio.NewWriter(w.Conn)), nil
}

// An end is one end of a tunnel in memory, in the hands of a test.
type end struct {
	net.Conn
	t  testing.TB
	rd *bufio.Reader
}

// A pipe is a tunnel whose ends are in memory.
type pipe struct {
	client, server *end
	done           chan struct{} // Closed when the tunnel is over.
	in, out        int64         // Its traffic, then.
}

// piped admits a client to a route of which only the tunnel counts.
func piped(t testing.TB, route Route) *pipe {
	t.Helper()
	clientEnd, clientConn := net.Pipe()
	serverEnd, serverConn := net.Pipe()
	p := &pipe{
		client: &end{clientEnd, t, bufio.NewReader(clientEnd)}, server: &end{serverEnd, t, bufio.NewReader(serverEnd)},
		done: make(chan struct{}),
	}
	t.Cleanup(func() {
		p.client.Close()
		p.server.Close()
		<-p.done
	})
	route.Traffic = func(in, out int64) { p.in, p.out = in, out }
	b := &behind{Route: &route}
	guard := &usher.Guard{Log: slog.New(slog.DiscardHandler), Carriers: []usher.Carrier{
		usher.Bearer(usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{Subject: "alice", Issuer: "test"}, nil
		})),
	}}
	route.Guard = guard
	h := guard.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer serverConn.Close()
		client, err := b.passOn(w, r, &greeting{})
		if err != nil {
			t.Errorf("answer the client: %v", err)
			return
		}
		b.carry(b.newTunnel(r.Context(), client, serverConn, func() {}, nil), nil, func() {})
	}))
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: example.com\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer word\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(p.done)
		defer cancel() // As net/http does.
		h.ServeHTTP(&wire{clientConn, make(http.Header)}, r.WithContext(ctx))
	}()
	res, err := http.ReadResponse(p.client.rd, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got the answer %v, %v, want 101", res, err)
	}
	return p
}

// say sends bytes.
func (e *end) say(b []byte) {
	e.t.Helper()
	if _, err := e.Write(b); err != nil {
		e.t.Errorf("send %x: %v", b, err)
	}
}

// hears reads a frame, unmasked.
func (e *end) hears() ws.Frame {
	e.t.Helper()
	f, err := ws.ReadFrame(e.rd)
	if err != nil {
		e.t.Fatalf("read a frame: %v", err)
	}
	if f.Header.Masked {
		f = ws.UnmaskFrameInPlace(f)
	}
	return f
}

// hearsPing reads a Ping and returns its payload.
func (e *end) hearsPing() []byte {
	e.t.Helper()
	f := e.hears()
	if f.Header.OpCode != ws.OpPing || !f.Header.Fin || f.Header.Masked || f.Header.Rsv != 0 {
		e.t.Fatalf("got frame %+v, want a Ping", f.Header)
	}
	return f.Payload
}

// hearsClose reads a Close with a word, or none, and returns nothing else.
func (e *end) hearsClose(word string) {
	e.t.Helper()
	f := e.hears()
	if f.Header.OpCode != ws.OpClose || !bytes.HasPrefix(f.Payload, []byte("\x03\xe9"+word)) {
		e.t.Errorf("got frame %v %q, want Close 1001 %s", f.Header.OpCode, f.Payload, word)
	}
}

// ends fails the test unless nothing comes but the end.
func (e *end) ends() {
	e.t.Helper()
	if b, err := io.ReadAll(e.rd); len(b) > 0 || err != nil && !errors.Is(err, io.ErrClosedPipe) {
		e.t.Errorf("got %x, %v, want the end", b, err)
	}
}

// listen reads frames until the end of the connection, and hands Pings to ping.
func (e *end) listen(ping func(payload []byte)) {
	for {
		f, err := ws.ReadFrame(e.rd)
		if err != nil {
			return
		}
		if f.Header.OpCode == ws.OpPing {
			ping(f.Payload)
		}
	}
}

// A record is the bytes that came, so far.
type record struct {
	over atomic.Bool // No more come.

	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

func (r *record) bytes() []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return bytes.Clone(r.buf.Bytes())
}

// recorded reads all that comes.
func (e *end) recorded() *record {
	r := &record{}
	go func() {
		_, _ = io.Copy(r, e.rd)
		r.over.Store(true)
	}()
	return r
}

// masked is a client's frame on the wire.
func masked(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }

// pong is a client's Pong on the wire.
func pong(payload []byte) []byte { return masked(ws.NewPongFrame(bytes.Clone(payload))) }
