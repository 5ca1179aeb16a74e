package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/usher-ws/usher"
)

// patience bounds every wait of a test for something that should come at once.
const patience = 30 * time.Second

// chat is the subprotocol that a witness selects.
const chat = "chat"

// A logbook is a buffer for what goroutines of a server write.
type logbook struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logbook) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logbook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// logger returns a logger that writes everything to b, as text.
func (b *logbook) logger() *slog.Logger {
	return slog.New(slog.NewTextHandler(b, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// quiet is a logger for tests that do not look at the log.
func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// A server is a real one on a loopback address.
type server struct {
	*httptest.Server
	addr string  // host:port
	errs logbook // What net/http logged.
	busy atomic.Int64
}

// origin is that of the server's own pages.
func (s *server) origin() string { return s.URL }

// serve starts a server for h. When the test ends it waits for every handler,
// those of hijacked connections included.
func serve(t testing.TB, h http.Handler) *server {
	t.Helper()
	s := newServer(t, h)
	s.Start()
	s.addr = s.Listener.Addr().String()
	return s
}

// newServer is serve for those who start the server themselves.
func newServer(t testing.TB, h http.Handler) *server {
	s := &server{}
	var handlers sync.WaitGroup
	s.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		s.busy.Add(1)
		defer func() {
			s.busy.Add(-1)
			handlers.Done()
		}()
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(&s.errs, "", 0)
	t.Cleanup(func() {
		s.Close()
		handlers.Wait()
	})
	return s
}

// idle waits until no handler runs, those of hijacked connections included.
func (s *server) idle(t testing.TB) {
	t.Helper()
	for until := time.Now().Add(patience); s.busy.Load() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d handlers still run", s.busy.Load())
		}
	}
}

// guard starts a server with g in front of next. A Guard without a Log of its
// own logs nothing.
func guard(t testing.TB, g *usher.Guard, next http.Handler) *server {
	t.Helper()
	if g.Log == nil {
		g.Log = quiet()
	}
	if err := g.Validate(); err != nil {
		t.Fatalf("guard is not valid: %v", err)
	}
	return serve(t, g.Handler(next))
}

// A sighting is one request as a handler saw it.
type sighting struct {
	request *http.Request
	dump    string // All that could be forwarded of it.
	subject string // Of the identity in its context; empty if there is none.
}

// A witness is a handler that remembers what reached it. It answers a WebSocket
// with the subprotocol "chat" if that is offered, and sends back each message;
// anything else it answers 200.
type witness struct {
	mu   sync.Mutex
	seen []sighting
}

func (h *witness) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := sighting{request: r}
	dump, err := httputil.DumpRequest(r, true)
	if err != nil {
		dump = []byte(err.Error())
	}
	s.dump = string(dump)
	if id, err := usher.FromContext(r.Context()); err == nil {
		s.subject = id.Subject
	}
	h.mu.Lock()
	h.seen = append(h.seen, s)
	h.mu.Unlock()
	if r.Header.Get("Upgrade") == "" {
		io.WriteString(w, "hello "+s.subject)
		return
	}
	c, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == chat }}.Upgrade(r, w)
	if err != nil {
		return
	}
	defer c.Close()
	for {
		message, op, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		if wsutil.WriteServerMessage(c, op, message) != nil {
			return
		}
	}
}

// sightings returns what the handler has seen so far, and forgets it.
func (h *witness) sightings() []sighting {
	h.mu.Lock()
	defer h.mu.Unlock()
	seen := h.seen
	h.seen = nil
	return seen
}

// sawNobody fails the test if the handler ran.
func (h *witness) sawNobody(t testing.TB) {
	t.Helper()
	for _, s := range h.sightings() {
		t.Errorf("the handler ran for %q:\n%s", s.subject, s.dump)
	}
}

// saw fails the test unless the handler ran once, for subject; it returns what
// the handler saw.
func (h *witness) saw(t testing.TB, subject string) sighting {
	t.Helper()
	seen := h.sightings()
	if len(seen) != 1 || seen[0].subject != subject {
		t.Fatalf("got %d requests at the handler %v, want one of %q", len(seen), seen, subject)
	}
	return seen[0]
}

// words is a verifier that knows its secrets by heart: each is a subject's.
type words map[string]string

func (m words) Verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	subject, ok := m[c.Secret.Reveal()]
	switch {
	case !ok:
		return nil, errors.New("unknown word")
	case subject == "expired":
		return nil, usher.ErrExpired
	case subject == "forbidden":
		return nil, usher.ErrForbidden
	case subject == "unavailable":
		return nil, usher.ErrUnavailable
	}
	return &usher.Identity{Subject: subject, Issuer: "test"}, nil
}

// known is the verifier of most tests.
var known = words{
	"alice-word": "alice", "alice-other": "alice", "bob-word": "bob",
	"old-word": "expired", "banned-word": "forbidden", "lost-word": "unavailable",
}

// bearerEntry is the entry in an offer of subprotocols that carries token.
func bearerEntry(token string) string {
	return "usher.bearer." + base64.RawURLEncoding.EncodeToString([]byte(token))
}

// testKey is a well-formed Sec-WebSocket-Key.
const testKey = "dGhlIHNhbXBsZSBub25jZQ=="

// upgrade is the text of a handshake for target at host, with further header
// lines.
func upgrade(host, target string, lines ...string) string {
	return "GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + strings.Join(append([]string{
		"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: " + testKey,
	}, lines...), "\r\n") + "\r\n\r\n"
}

// request is the text of a request without a body.
func request(method, host, target string, lines ...string) string {
	return method + " " + target + " HTTP/1.1\r\n" +
		strings.Join(append([]string{"Host: " + host}, lines...), "\r\n") + "\r\n\r\n"
}

// A peer is a client that speaks bytes, so that it can be as wrong as a test
// needs.
type peer struct {
	net.Conn
	t      testing.TB
	rd     *bufio.Reader
	method string // Of the last request.
}

// dial connects to addr, from the local address from unless that is empty.
func dial(t testing.TB, addr, from string) *peer {
	t.Helper()
	var d net.Dialer
	if from != "" {
		d.LocalAddr = &net.TCPAddr{IP: net.ParseIP(from)}
	}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return newPeer(t, c)
}

// newPeer makes a peer of a connection, and closes it when the test ends.
func newPeer(t testing.TB, c net.Conn) *peer {
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return &peer{Conn: c, t: t, rd: bufio.NewReader(c)}
}

// say sends text as it is.
func (p *peer) say(text string) {
	p.t.Helper()
	p.method, _, _ = strings.Cut(text, " ")
	if _, err := io.WriteString(p, text); err != nil {
		p.t.Fatalf("send: %v", err)
	}
}

// sendFrame sends one whole masked frame.
func (p *peer) sendFrame(op ws.OpCode, payload []byte) {
	p.t.Helper()
	if err := ws.WriteFrame(p, ws.MaskFrame(ws.NewFrame(op, true, bytes.Clone(payload)))); err != nil {
		p.t.Fatalf("send frame: %v", err)
	}
}

// answer reads the answer to a request, and its body unless it is 101.
func (p *peer) answer() (*http.Response, string) {
	p.t.Helper()
	res, err := http.ReadResponse(p.rd, &http.Request{Method: p.method})
	if err != nil {
		p.t.Fatalf("read the answer: %v", err)
	}
	if res.StatusCode == http.StatusSwitchingProtocols {
		return res, ""
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		p.t.Fatalf("read the body: %v", err)
	}
	return res, string(body)
}

// status reads the answer to a request and fails the test unless it is want.
func (p *peer) status(want int) *http.Response {
	p.t.Helper()
	res, body := p.answer()
	if res.StatusCode != want {
		p.t.Fatalf("got status %d %q, want %d", res.StatusCode, body, want)
	}
	return res
}

// receive reads one frame.
func (p *peer) receive() ws.Frame {
	p.t.Helper()
	f, err := ws.ReadFrame(p.rd)
	if err != nil {
		p.t.Fatalf("read a frame: %v", err)
	}
	return f
}

// closed reads a Close frame, answers it, and fails the test unless it has
// the code, a reason that is the word and an explain id, and nothing follows.
// It returns the explain id.
func (p *peer) closed(code int, word string) string {
	p.t.Helper()
	f := p.receive()
	if f.Header.OpCode != ws.OpClose || len(f.Payload) < 2 {
		p.t.Fatalf("got frame %v %q, want a Close with a code", f.Header.OpCode, f.Payload)
	}
	got, reason := int(binary.BigEndian.Uint16(f.Payload)), string(f.Payload[2:])
	if len(reason) > 123 {
		p.t.Errorf("got a reason of %d bytes, want at most 123", len(reason))
	}
	gotWord, id, _ := strings.Cut(reason, " ")
	if got != code || gotWord != word || len(id) < 8 || strings.Contains(id, " ") {
		p.t.Fatalf("got Close %d %q, want %d %q and an explain id", got, reason, code, word)
	}
	p.sendFrame(ws.OpClose, f.Payload[:2])
	if _, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
		p.t.Errorf("got %v after the Close frame, want EOF", err)
	}
	return id
}

// echo fails the test unless a message comes back.
func (p *peer) echo(message string) {
	p.t.Helper()
	p.sendFrame(ws.OpText, []byte(message))
	if f := p.receive(); f.Header.OpCode != ws.OpText || string(f.Payload) != message {
		p.t.Fatalf("got frame %v %q, want the text %q", f.Header.OpCode, f.Payload, message)
	}
}

// exchange sends a request on a connection of its own and returns the answer.
func exchange(t testing.TB, addr, text string) (*http.Response, string) {
	t.Helper()
	p := dial(t, addr, "")
	defer p.Close()
	p.say(text)
	return p.answer()
}
