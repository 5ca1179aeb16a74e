package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// patience bounds every wait of a test for something that should come at once.
const patience = 30 * time.Second

// testKey is a well-formed Sec-WebSocket-Key.
const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// bearer is the header line that lets a client in, as alice.
const bearer = "Authorization: Bearer alice-word"

// known is the verifier of most tests: it knows alice, and what is claimed of
// her.
var known = usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	if c.Secret.Reveal() != "alice-word" {
		return nil, errors.New("unknown word")
	}
	return &usher.Identity{
		Subject: "alice", Issuer: "test", Session: "s1",
		Claims: usher.Claims{"email": "alice@example.com", "admin": true, "name": "Älice\r\nX-Evil: 1"},
	}, nil
})

// A gate is a gateway with one route, on a loopback address.
type gate struct {
	*httptest.Server
	addr     string
	sessions *usher.Sessions
	handlers atomic.Int64
}

// A setting changes the route or its guard before they are used.
type setting func(*gateway.Route, *usher.Guard)

// pattern makes the route one for pattern.
func pattern(p string) setting {
	return func(rt *gateway.Route, _ *usher.Guard) { rt.Pattern = p }
}

// open starts a gate in front of the targets. When the test ends it waits for
// every handler, those of tunnels included.
func open(t testing.TB, targets []*gateway.Target, settings ...setting) *gate {
	t.Helper()
	g := &gate{sessions: &usher.Sessions{}}
	guard := &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(known), usher.Query("access_token", known)},
		Origins:  []string{"https://app.example.com"}, Sessions: g.sessions, Log: slog.New(slog.DiscardHandler),
	}
	route := &gateway.Route{
		Pattern: "/chat", Pool: gateway.NewPool(patience, targets...), Guard: guard, HandshakeTimeout: patience,
	}
	for _, set := range settings {
		set(route, guard)
	}
	if err := guard.Validate(); err != nil {
		t.Fatalf("guard is not valid: %v", err)
	}
	mux := http.NewServeMux()
	mux.Handle(route.Pattern, guard.Handler(route.Handler()))
	g.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g.handlers.Add(1)
		defer g.handlers.Add(-1)
		mux.ServeHTTP(w, r)
	}))
	g.Config.ErrorLog = log.New(io.Discard, "", 0)
	g.Start()
	g.addr = g.Listener.Addr().String()
	t.Cleanup(func() {
		g.Close()
		g.settle(t)
		route.Pool.CloseIdle()
	})
	return g
}

// settle waits until no handler runs.
func (g *gate) settle(t testing.TB) {
	t.Helper()
	eventually(t, func() bool { return g.handlers.Load() == 0 })
}

// target parses the address of an upstream.
func target(t testing.TB, text string) []*gateway.Target {
	t.Helper()
	tg, err := gateway.ParseTarget(text, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []*gateway.Target{tg}
}

// front opens a gate in front of a handler.
func front(t testing.TB, h http.Handler, settings ...setting) *gate {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return open(t, target(t, "ws://"+s.Listener.Addr().String()+"/chat"), settings...)
}

// A rawBackend is an upstream that speaks bytes, so that it can be as wrong as
// a test needs. It logs what it gets.
type rawBackend struct {
	addr string

	mu  sync.Mutex
	got bytes.Buffer
	wg  sync.WaitGroup
}

// raw starts a backend that calls serve with each connection after the head of
// its first request came.
func raw(t testing.TB, serve func(c net.Conn, head string)) *rawBackend {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &rawBackend{addr: l.Addr().String()}
	b.wg.Add(1)
	go func() {
		defer b.wg.Done()
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.wg.Add(1)
			go func() {
				defer b.wg.Done()
				defer c.Close()
				_ = c.SetDeadline(time.Now().Add(patience))
				b.serve(c, serve)
			}()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		b.wg.Wait()
	})
	return b
}

func (b *rawBackend) serve(c net.Conn, serve func(net.Conn, string)) {
	rd := bufio.NewReader(io.TeeReader(c, b))
	var head strings.Builder
	for !strings.HasSuffix(head.String(), "\r\n\r\n") {
		line, err := rd.ReadString('\n')
		if err != nil {
			return
		}
		head.WriteString(line)
	}
	serve(&bufferedConn{Conn: c, rd: rd}, head.String())
}

// A bufferedConn reads through a reader that may hold what came early.
type bufferedConn struct {
	net.Conn
	rd *bufio.Reader
}

func (c *bufferedConn) Read(p []byte) (int, error) { return c.rd.Read(p) }

// Write logs what the backend got, the first 64 KiB of it.
func (b *rawBackend) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.got.Write(p[:min(len(p), 64<<10-b.got.Len())])
	return len(p), nil
}

// text is all that the backend got so far.
func (b *rawBackend) text() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.String()
}

// switched is a correct 101 for the request with head, with further lines.
func switched(head string, lines ...string) string {
	return "HTTP/1.1 101 Switching Protocols\r\n" + strings.Join(append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: " + acceptFor(head),
	}, lines...), "\r\n") + "\r\n\r\n"
}

// line returns the value of a header in the text of a head.
func line(head, name string) string {
	for l := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(l, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}

// A peer is a client that speaks bytes.
type peer struct {
	net.Conn
	t  testing.TB
	rd *bufio.Reader
}

func dial(t testing.TB, addr string) *peer {
	t.Helper()
	c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{Conn: c, t: t, rd: bufio.NewReader(c)}
}

// upgrade is the text of a handshake, with further header lines.
func upgrade(path string, lines ...string) string {
	return "GET " + path + " HTTP/1.1\r\nHost: gate.example\r\n" + strings.Join(append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testKey,
	}, lines...), "\r\n") + "\r\n\r\n"
}

// connect makes a handshake as alice that must succeed, and returns its answer
// too.
func connect(t testing.TB, addr, path string, lines ...string) (*peer, *http.Response) {
	t.Helper()
	p := dial(t, addr)
	p.say(upgrade(path, append(lines, bearer)...))
	res := p.answer()
	if res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101", res.StatusCode)
	}
	return p, res
}

func (p *peer) say(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

func (p *peer) answer() *http.Response {
	p.t.Helper()
	res, err := http.ReadResponse(p.rd, nil)
	if err != nil {
		p.t.Fatalf("read the answer: %v", err)
	}
	if res.StatusCode != http.StatusSwitchingProtocols {
		body, err := io.ReadAll(res.Body)
		if err != nil {
			p.t.Fatalf("read the body: %v", err)
		}
		res.Body = io.NopCloser(bytes.NewReader(body))
	}
	return res
}

func (p *peer) send(f ws.Frame) {
	p.t.Helper()
	if err := ws.WriteFrame(p, ws.MaskFrame(f)); err != nil {
		p.t.Fatalf("send frame: %v", err)
	}
}

func (p *peer) receive() ws.Frame {
	p.t.Helper()
	f, err := ws.ReadFrame(p.rd)
	if err != nil {
		p.t.Fatalf("read a frame: %v", err)
	}
	return f
}

// echo fails the test unless a message comes back.
func (p *peer) echo(message string) {
	p.t.Helper()
	p.send(ws.NewTextFrame([]byte(message)))
	if f := p.receive(); f.Header.OpCode != ws.OpText || string(f.Payload) != message {
		p.t.Fatalf("got frame %v %q, want the text %q", f.Header.OpCode, f.Payload, message)
	}
}

// closed reads frames up to a Close, fails the test unless that has the code,
// answers it, and expects the end of the connection. It returns the reason.
func (p *peer) closed(code int) string {
	p.t.Helper()
	f := p.receive()
	for f.Header.OpCode != ws.OpClose {
		f = p.receive()
	}
	got := 0
	if len(f.Payload) >= 2 {
		got = int(binary.BigEndian.Uint16(f.Payload))
	}
	if got != code {
		p.t.Fatalf("got Close %d %q, want %d", got, f.Payload, code)
	}
	_ = ws.WriteFrame(p, ws.MaskFrame(ws.NewCloseFrame(f.Payload[:2])))
	p.gone()
	return string(f.Payload[2:])
}

// gone fails the test unless the connection ends, whatever comes before.
func (p *peer) gone() {
	p.t.Helper()
	if _, err := io.Copy(io.Discard, p.rd); errors.Is(err, os.ErrDeadlineExceeded) {
		p.t.Error("the connection did not end")
	}
}

// eventually fails the test unless it comes true.
func eventually(t testing.TB, holds func() bool) {
	t.Helper()
	for until := time.Now().Add(patience); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Error("it did not come true")
			return
		}
	}
}
