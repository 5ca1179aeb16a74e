package usher_test

import (
	"bufio"
	"context"
	"crypto/tls"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// A wire is the ResponseWriter of a request on an in-memory connection, for
// tests in which time is not the machine's.
type wire struct {
	conn   net.Conn
	header http.Header
}

func (w *wire) Header() http.Header { return w.header }

func (w *wire) WriteHeader(status int) {
	res := http.Response{
		StatusCode: status, ProtoMajor: 1, ProtoMinor: 1, Header: w.header, ContentLength: -1,
		Close: status != http.StatusSwitchingProtocols,
	}
	_ = res.Write(w.conn)
}

func (w *wire) Write(p []byte) (int, error) { return w.conn.Write(p) }

func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.conn, bufio.NewReadWriter(bufio.NewReader(w.conn), bufio.NewWriter(w.conn)), nil
}

// overPipe sends a handshake with further header lines to g in front of next,
// and returns the client's end. The channel is closed when next is done.
func overPipe(t *testing.T, g *usher.Guard, next http.Handler, lines ...string) (*peer, <-chan struct{}) {
	t.Helper()
	return overWrapped(t, func(c net.Conn) net.Conn { return c }, g, next, lines...)
}

// overWrapped is overPipe with the server's end in a wrapper.
func overWrapped(t *testing.T, wrap func(net.Conn) net.Conn, g *usher.Guard, next http.Handler, lines ...string) (*peer, <-chan struct{}) {
	t.Helper()
	if g.Log == nil {
		g.Log = quiet()
	}
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(upgrade("example.com", "/", lines...))))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	client, conn := net.Pipe()
	done := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		defer close(done)
		defer cancel() // As net/http does.
		g.Handler(next).ServeHTTP(&wire{conn: wrap(conn), header: make(http.Header)}, r.WithContext(ctx))
	}()
	p := newPeer(t, client)
	_ = client.SetDeadline(time.Time{}) // Hours pass at once here.
	return p, done
}

// lasting admits everybody as alice, for d from now.
func lasting(d time.Duration) usher.Verifier {
	return usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
		return &usher.Identity{Subject: "alice", Issuer: "test", Expires: time.Now().Add(d)}, nil
	})
}

// byBearer is a Guard for clients that send the header authorized.
func byBearer(v usher.Verifier) *usher.Guard {
	return &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(v)}, Log: quiet()}
}

const authorized = "Authorization: Bearer word"

// A takeover is a handler that answers the handshake by itself, and does with
// the connection what the test says.
type takeover func(r *http.Request, c net.Conn)

const switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

func (f takeover) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if _, err := c.Write([]byte(switched)); err != nil {
		c.Close()
		return
	}
	f(r, c)
}

// untilEnd reads until the connection ends and returns why.
func untilEnd(c net.Conn) error {
	var buf [512]byte
	for {
		if _, err := c.Read(buf[:]); err != nil {
			return err
		}
	}
}

// serveTLS is serveWrapped with a certificate for example.com, which the
// server's Client trusts.
func serveTLS(t *testing.T, h http.Handler, wrap func(net.Conn) net.Conn) *httptest.Server {
	t.Helper()
	s := unstarted(t, h, wrap)
	s.TLS = &tls.Config{NextProtos: []string{"http/1.1"}}
	s.StartTLS()
	return s
}

// serveWrapped is serve with a listener whose connections go through wrap.
func serveWrapped(t *testing.T, h http.Handler, wrap func(net.Conn) net.Conn) *httptest.Server {
	t.Helper()
	s := unstarted(t, h, wrap)
	s.Start()
	return s
}

func unstarted(t *testing.T, h http.Handler, wrap func(net.Conn) net.Conn) *httptest.Server {
	var handlers sync.WaitGroup
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		handlers.Add(1)
		defer handlers.Done()
		h.ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.Listener = &wrapping{Listener: s.Listener, wrap: wrap}
	t.Cleanup(func() {
		s.Close()
		handlers.Wait()
	})
	return s
}

// A wrapping is a listener whose connections go through wrap.
type wrapping struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (l *wrapping) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return l.wrap(c), nil
}
