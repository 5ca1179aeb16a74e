package server_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/gorilla/websocket"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/server"
)

// patience bounds every wait of a test for something that should come at once.
const patience = 30 * time.Second

// secret is the one that tokens of these tests are signed with.
const secret = "0123456789abcdef0123456789abcdef"

// A logbook is a buffer for what goroutines write.
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

// await waits until text is in the book.
func (b *logbook) await(t testing.TB, text string) {
	t.Helper()
	for until := time.Now().Add(patience); !strings.Contains(b.String(), text); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("got no %q in:\n%s", text, b.String())
		}
	}
}

// A backend is a WebSocket server that knows nothing of Usher. It writes down
// every byte that it gets.
type backend struct {
	*httptest.Server
	got     logbook
	mu      sync.Mutex
	headers []http.Header
	busy    sync.WaitGroup
}

type tappedListener struct {
	net.Listener
	book *logbook
}

func (l tappedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return tappedConn{c, l.book}, nil
}

type tappedConn struct {
	net.Conn
	book *logbook
}

func (c tappedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.book.Write(p[:n])
	return n, err
}

// newBackend starts a server that echoes messages, and answers plain requests.
func newBackend(t testing.TB) *backend {
	b := &backend{}
	up := websocket.Upgrader{Subprotocols: []string{"chat"}, CheckOrigin: func(*http.Request) bool { return true }}
	b.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.mu.Lock()
		b.headers = append(b.headers, r.Header.Clone())
		b.mu.Unlock()
		if !websocket.IsWebSocketUpgrade(r) {
			fmt.Fprintf(w, "plain %s", r.URL.Path)
			return
		}
		b.busy.Add(1)
		defer b.busy.Done()
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			kind, message, err := c.ReadMessage()
			if err != nil || c.WriteMessage(kind, message) != nil {
				return
			}
		}
	}))
	b.Listener = tappedListener{b.Listener, &b.got}
	b.Start()
	t.Cleanup(func() {
		b.Close()
		b.busy.Wait()
	})
	return b
}

// ws is the backend's address as an upstream.
func (b *backend) ws() string { return "ws" + strings.TrimPrefix(b.URL, "http") + "/up" }

// requests is how many requests came in.
func (b *backend) requests() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.headers)
}

// A gateway is a server under test.
type gateway struct {
	*server.Server
	public, admin string // host:port
	file          string // Of its configuration.
	logs          *logbook
	key           string // Of the hub's app, where none is configured.
	stop          func() // Ends it and waits.
}

// write writes a file beside the configuration, with what stands for $DIR in it.
func write(t testing.TB, dir, name, text string) string {
	t.Helper()
	file := filepath.Join(dir, name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// front is what the configurations of these tests begin with.
const front = `listen: 127.0.0.1:0
admin: 127.0.0.1:0
engine: {memory: true}
log: {level: debug}
drain: 100ms
verifiers:
  local: {jwt: {issuer: test, audience: chat, hs256_secret_file: secret}}
`

// start runs a gateway with the configuration until the test ends.
func start(t testing.TB, text string) *gateway {
	t.Helper()
	return startIn(t, t.TempDir(), text)
}

// startIn is start with files of the configuration in dir.
func startIn(t testing.TB, dir, text string) *gateway {
	t.Helper()
	return startWith(t, dir, text, server.Options{})
}

// startWith is startIn with options.
func startWith(t testing.TB, dir, text string, o server.Options) *gateway {
	t.Helper()
	write(t, dir, "secret", secret+"\n")
	g := &gateway{file: write(t, dir, "usher.yaml", text), logs: &logbook{}}
	load := func() (*config.Config, error) { return config.Load(g.file, nil) }
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan struct{})
	o.Logs, o.Load, o.Key = g.logs, load, func(key usher.Secret) { g.key = key.Reveal() }
	o.Ready = func(public, admin net.Addr) {
		g.public, g.admin = public.String(), admin.String()
		close(ready)
	}
	g.Server, err = server.New(c, o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- g.Run(ctx) }()
	g.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("got %v from Run, want nil", err)
		}
	})
	t.Cleanup(g.stop)
	select {
	case <-ready:
	case err := <-ended:
		ended <- err
		t.Fatalf("server ended before it was ready: %v", err)
	}
	return g
}

// token signs claims over those of a good token.
func token(t testing.TB, key string, claims map[string]any) string {
	t.Helper()
	now := time.Now().Unix()
	all := map[string]any{"iss": "test", "aud": "chat", "sub": "alice", "iat": now, "exp": now + 300}
	for name, value := range claims {
		all[name] = value
	}
	payload, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(key)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	jws, err := signer.Sign(payload)
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// bearer is a header with a good token.
func bearer(t testing.TB) http.Header {
	return http.Header{"Authorization": {"Bearer " + token(t, secret, nil)}}
}

// client makes requests that follow no redirect and leave no connection.
var client = &http.Client{
	Transport:     &http.Transport{DisableKeepAlives: true},
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Timeout:       patience,
}

// do makes a request, and returns the answer with its body.
func do(t testing.TB, method, url string, h http.Header, body string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, values := range h {
		if name == "Host" {
			req.Host = values[0]
			continue
		}
		req.Header[name] = values
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, string(text)
}

// raw sends text to addr and returns all that comes back.
func raw(t testing.TB, addr, text string) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	answer, _ := io.ReadAll(c)
	return string(answer)
}

// dial opens a WebSocket. Its error has the status of a refusal.
func dial(t testing.TB, url string, h http.Header, subprotocols ...string) (*websocket.Conn, error) {
	t.Helper()
	d := websocket.Dialer{HandshakeTimeout: patience, Subprotocols: subprotocols}
	c, res, err := d.DialContext(t.Context(), url, h)
	if err != nil {
		if res != nil {
			return nil, fmt.Errorf("status %d: %w", res.StatusCode, err)
		}
		return nil, err
	}
	t.Cleanup(func() { c.Close() })
	c.SetReadDeadline(time.Now().Add(patience))
	return c, nil
}

// mustDial is dial for those who must get in.
func mustDial(t testing.TB, url string, h http.Header, subprotocols ...string) *websocket.Conn {
	t.Helper()
	c, err := dial(t, url, h, subprotocols...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// echo fails the test unless a message comes back.
func echo(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatalf("write: %v", err)
	}
	_, got, err := c.ReadMessage()
	if err != nil || string(got) != text {
		t.Fatalf("got %q, %v, want %q", got, err, text)
	}
}

// closeOf reads until the connection ends, and returns with which code and
// reason.
func closeOf(c *websocket.Conn) (int, string) {
	for {
		if _, _, err := c.ReadMessage(); err != nil {
			if why, ok := errors.AsType[*websocket.CloseError](err); ok {
				return why.Code, why.Text
			}
			return 0, err.Error()
		}
	}
}
