package realtime_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/tinylib/msgp/msgp"
	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/realtime"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A token is one that clients of a test have.
type token struct {
	clientID   string
	capability string
	lives      time.Duration // 0: for ever.
}

// tokens are by their text.
var tokens = map[string]token{
	"key":     {"*", `{"*":["*"]}`, 0},
	"alice":   {"alice", `{"*":["*"]}`, 0},
	"nobody":  {"", `{"*":["*"]}`, 0},
	"reader":  {"alice", `{"*":["subscribe"]}`, 0},
	"writer":  {"alice", `{"room":["publish"]}`, 0},
	"bob":     {"bob", `{"*":["*"]}`, 0},
	"minute":  {"alice", `{"*":["*"]}`, time.Minute},
	"ten":     {"alice", `{"*":["*"]}`, 10 * time.Second},
	"seconds": {"alice", `{"*":["*"]}`, 5 * time.Second},
	"limited": {"alice", `{"*":["*"]}`, 0},
}

// limits is what the token "limited" says: who it is in room, and that it may
// publish one message in two seconds there.
type limits struct{}

func (limits) User(channel string) (string, bool)     { return "guest", channel == "room" }
func (limits) MaxRate(channel string) (float64, bool) { return 0.5, channel == "room" }

// A site is a server in memory, inside a synctest bubble.
type site struct {
	hub      *hub.Hub
	app      *hub.App
	log      *faultyLog
	server   *realtime.Server
	sessions *usher.Sessions
	began    time.Time
	listener *listener

	mu sync.Mutex
	// Guarded by mu.
	again func(ctx context.Context) string // Says which token it is by now. Nil: the one that it came with.
	enter func()                           // Called as one that was granted something is about to come in. Nil: nothing is.
}

// A faultyLog fails when told to.
type faultyLog struct {
	hub.MemoryLog

	mu   sync.Mutex
	down bool
}

func (l *faultyLog) fails() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.down
}

func (l *faultyLog) setDown(down bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.down = down
}

func (l *faultyLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	if l.fails() {
		then(0, hub.ErrUnavailable)
		return
	}
	l.MemoryLog.Append(e, then)
}

func (l *faultyLog) Follow(ctx context.Context, n hub.Name, f func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	if l.fails() {
		return 0, nil, hub.ErrUnavailable
	}
	return l.MemoryLog.Follow(ctx, n, f, lost)
}

func newSite(t *testing.T, limits hub.Limits) *site {
	t.Helper()
	s := &site{log: new(faultyLog), sessions: new(usher.Sessions), began: time.Now(), listener: newListener()}
	s.hub = hub.New(s.log, hub.Options{})
	s.app = s.hub.SetApp("app", hub.AppOptions{
		Namespaces: map[string]hub.Namespace{"small": {Members: 1}}, Limits: limits,
	})
	s.server = realtime.New(realtime.Options{Access: s})
	g := &usher.Guard{
		Carriers: []usher.Carrier{usher.Query("access_token", s)}, Sessions: s.sessions, Detach: true,
		InsecureAnyOrigin: true, Log: slog.New(slog.DiscardHandler),
		Deny: func(w http.ResponseWriter, r *http.Request, _ error) {
			s.server.Refuse(w, r, ably.Err(ably.BadCredential))
		},
	}
	web := &http.Server{Handler: g.Handler(s.server), ReadHeaderTimeout: time.Second, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0)}
	var wg sync.WaitGroup
	wg.Go(func() { _ = web.Serve(s.listener) })
	t.Cleanup(func() {
		_ = web.Close()
		wg.Wait()
		s.server.Close()
		s.hub.Close()
	})
	return s
}

// Verify implements usher.Verifier.
func (s *site) Verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	return s.identity(c.Secret.Reveal())
}

func (s *site) identity(text string) (*usher.Identity, error) {
	tok, ok := tokens[text]
	if !ok {
		return nil, errors.New("no such token")
	}
	id := &usher.Identity{Subject: "app", Session: "of " + tok.clientID, Token: text, Issued: time.Now(), Claims: usher.Claims{"text": text}}
	if tok.lives > 0 {
		id.Expires = time.Now().Add(tok.lives)
	}
	return id, nil
}

func (s *site) grant(id *usher.Identity) (*realtime.Grant, error) {
	tok := tokens[id.Claims.String("text")]
	p, err := usher.NewPermissions("", tok.capability)
	if err != nil {
		return nil, err
	}
	g := &realtime.Grant{App: s.app, ClientID: tok.clientID, Permissions: p}
	if tok.clientID != "*" {
		g.Client = tok.clientID
	}
	if tok.lives > 0 {
		g.Expires = id.Expires
	}
	if id.Token == "limited" {
		g.Claims = limits{}
	}
	return g, nil
}

// Grant implements realtime.Access.
func (s *site) Grant(r *http.Request) (*realtime.Grant, error) {
	id, err := usher.FromContext(r.Context())
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	enter := s.enter
	s.mu.Unlock()
	if enter != nil {
		defer enter()
	}
	return s.grant(id)
}

// Renew implements realtime.Access.
func (s *site) Renew(ctx context.Context, _ *realtime.Grant, text usher.Secret) (*realtime.Grant, error) {
	if text.Reveal() == "unjudged" {
		return nil, ably.Err(ably.Unavailable)
	}
	id, err := s.identity(text.Reveal())
	if err != nil {
		return nil, ably.Err(ably.TokenUnknown)
	}
	if err := usher.Adopt(ctx, id); err != nil {
		return nil, err
	}
	return s.grant(id)
}

// Again implements realtime.Access.
func (s *site) Again(ctx context.Context, _ *realtime.Grant) (*realtime.Grant, error) {
	id, err := usher.FromContext(ctx)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	again := s.again
	s.mu.Unlock()
	if again != nil {
		if id, err = s.identity(again(ctx)); err != nil {
			return nil, err
		}
	}
	if _, ok := tokens[id.Claims.String("text")]; !ok {
		return nil, ably.Err(ably.TokenRevoked)
	}
	return s.grant(id)
}

// A listener hands out pipes.
type listener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newListener() *listener {
	return &listener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *listener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (*listener) Addr() net.Addr { return &net.UnixAddr{Name: "test"} }

// A client is one end of a WebSocket.
type client struct {
	conn    net.Conn
	msgpack bool

	mu     sync.Mutex
	frames []any
	acks   []any // ACK and NACK, which come before or after a message's own echo.
	beats  int   // Heartbeats, which are not in frames.
	closed string
	stuck  chan struct{} // While it is not closed, nothing is read. Nil: it is.
	mute   bool          // No Ping is answered.
}

// connect opens a WebSocket.
func (s *site) connect(t *testing.T, query string, msgpack bool) *client {
	t.Helper()
	c, in := s.dial(t, query, msgpack)
	go c.read(in)
	return c
}

// dial opens a WebSocket from which nothing is read yet.
func (s *site) dial(t *testing.T, query string, msgpack bool) (*client, io.Reader) {
	t.Helper()
	if msgpack {
		query += "&format=msgpack"
	}
	near, far := net.Pipe()
	s.listener.conns <- far
	u := &url.URL{Scheme: "ws", Host: "test", Path: "/", RawQuery: query}
	d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
	conn, br, _, err := d.Dial(t.Context(), u.String())
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	c := &client{conn: conn, msgpack: msgpack}
	in := io.Reader(conn)
	if br != nil {
		in = io.MultiReader(br, conn)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return c, in
}

func (c *client) read(in io.Reader) {
	for {
		c.mu.Lock()
		stuck := c.stuck
		c.mu.Unlock()
		if stuck != nil {
			<-stuck
		}
		f, err := ws.ReadFrame(in)
		if err != nil {
			c.note(func() {
				if c.closed == "" {
					c.closed = "cut"
				}
			})
			return
		}
		switch f.Header.OpCode {
		case ws.OpPing:
			c.mu.Lock()
			mute := c.mute
			c.mu.Unlock()
			if !mute {
				_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewPongFrame(f.Payload)))
			}
		case ws.OpClose:
			code, _ := ws.ParseCloseFrameData(f.Payload)
			c.note(func() { c.closed = fmt.Sprint(code) })
			_ = ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewCloseFrame(f.Payload)))
			_ = c.conn.Close()
			return
		case ws.OpText, ws.OpBinary:
			c.take(f)
		}
	}
}

func (c *client) note(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// take takes a frame as JSON would have it. Msgpack is read by other code than
// the server's own.
func (c *client) take(f ws.Frame) {
	text := f.Payload
	if c.msgpack {
		var b bytes.Buffer
		if _, err := msgp.UnmarshalAsJSON(&b, f.Payload); err != nil {
			text = []byte(`"malformed msgpack"`)
		} else {
			text = b.Bytes()
		}
	}
	if c.msgpack != (f.Header.OpCode == ws.OpBinary) {
		text = []byte(`"frame of the other kind"`)
	}
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		v = "malformed: " + string(text)
	}
	c.note(func() {
		m, _ := v.(map[string]any)
		switch action := m["action"]; {
		case action == 0.0 && len(m) == 1:
			c.beats++
		case action == 1.0, action == 2.0:
			c.acks = append(c.acks, v)
		default:
			c.frames = append(c.frames, v)
		}
	})
}

// next takes the next frame, or the next answer, or returns nil where there is
// none.
func (c *client) next(answer bool) any {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	list := &c.frames
	if answer {
		list = &c.acks
	}
	if len(*list) == 0 {
		return nil
	}
	v := (*list)[0]
	*list = (*list)[1:]
	return v
}

// end is how the connection has ended, or empty.
func (c *client) end() string {
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

// say sends a frame, given as JSON.
func (c *client) say(text string) error {
	f := ws.NewTextFrame([]byte(text))
	if c.msgpack {
		var v any
		d := json.NewDecoder(bytes.NewReader([]byte(text)))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			return err
		}
		b, err := msgp.AppendIntf(nil, whole(v))
		if err != nil {
			return err
		}
		f = ws.NewBinaryFrame(b)
	}
	return ws.WriteFrame(c.conn, ws.MaskFrame(f))
}

// whole makes integers of numbers, as an SDK has them.
func whole(v any) any {
	switch v := v.(type) {
	case json.Number:
		n, _ := v.Int64()
		return n
	case []any:
		for i := range v {
			v[i] = whole(v[i])
		}
	case map[string]any:
		for k := range v {
			v[k] = whole(v[k])
		}
	}
	return v
}
