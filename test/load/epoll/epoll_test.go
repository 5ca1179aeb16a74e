//go:build linux

package epoll_test

import (
	"bytes"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"go.uber.org/goleak"

	"github.com/usher-ws/usher/test/load/epoll"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const handshake = "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
	"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"

// An echo is a server that knows its connections.
type echo struct {
	mu    sync.Mutex
	conns []net.Conn // Guarded by mu.
	wg    sync.WaitGroup
}

func (e *echo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// Before the client can hear of it: who looks then finds the connection.
	e.mu.Lock()
	defer e.mu.Unlock()
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return
	}
	e.conns = append(e.conns, c)
	e.wg.Go(func() {
		defer c.Close()
		for {
			message, op, err := wsutil.ReadClientData(c)
			if err != nil || wsutil.WriteServerMessage(c, op, message) != nil {
				return
			}
		}
	})
}

// serve returns a client of a handler.
func serve(t *testing.T, h http.Handler) *epoll.Client {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	addr, err := netip.ParseAddrPort(strings.TrimPrefix(srv.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := epoll.New(addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func requests(n int) []epoll.Request {
	list := make([]epoll.Request, n)
	for i := range list {
		list[i].Handshake = []byte(handshake)
	}
	return list
}

func TestConnectAndExchange(t *testing.T) {
	e := &echo{}
	t.Cleanup(e.wg.Wait)
	c := serve(t, e)
	o, err := c.Connect(requests(20), 3)
	if err != nil {
		t.Fatal(err)
	}
	if len(o.Latencies) != 20 || c.Live() != 20 || o.Took <= 0 {
		t.Fatalf("got %d latencies and %d live in %v, want 20 of each", len(o.Latencies), c.Live(), o.Took)
	}
	for _, size := range []int{5, 125, 126, 16 << 10, 70000} {
		for _, window := range []int{1, 8} {
			frame, answer := epoll.Frame(size)
			o, err := c.Exchange(200, window, func(int) ([]byte, int) { return frame, answer })
			if err != nil {
				t.Fatalf("%d bytes, window %d: %v", size, window, err)
			}
			if want := int64(200 * answer); len(o.Latencies) != 200 || o.Bytes != want {
				t.Errorf("%d bytes, window %d: got %d answers of %d bytes in all, want 200 of %d", size, window, len(o.Latencies), o.Bytes, want)
			}
		}
	}
	if c.Lost() != 0 {
		t.Errorf("got %d lost, want 0", c.Lost())
	}
}

// What came back must be what the server unmasked: the frames that are prepared
// are correct.
func TestFrame(t *testing.T) {
	for _, size := range []int{0, 125, 126, 65535, 65536} {
		frame, echo := epoll.Frame(size)
		got, err := wsutil.ReadClientBinary(readWriter{bytes.NewReader(frame), io.Discard})
		if err != nil || len(got) != size {
			t.Errorf("%d bytes: got %d, %v", size, len(got), err)
		}
		if want := len(ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, size)))); echo != want {
			t.Errorf("%d bytes: got an echo of %d bytes, want %d", size, echo, want)
		}
	}
	text := strings.Repeat("x", 300)
	got, err := wsutil.ReadClientText(readWriter{bytes.NewReader(epoll.TextFrame([]byte(text))), io.Discard})
	if err != nil || string(got) != text {
		t.Errorf("got %q, %v", got, err)
	}
}

// A readWriter reads what a client has sent, and throws away what is answered.
type readWriter struct {
	io.Reader
	io.Writer
}

func TestRefused(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
	if _, err := c.Connect(requests(3), 3); err == nil || !strings.Contains(err.Error(), "418") {
		t.Errorf("got %v, want an error with the status", err)
	}
	if _, err := epoll.New(netip.MustParseAddrPort("[::1]:80")); err == nil {
		t.Error("got a client of an IPv6 address")
	}
}

// An answer may come in pieces, and with it what comes after it.
func TestHeadInPieces(t *testing.T) {
	c := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		for _, piece := range []string{"HTTP/1.1 101 Switching", " Protocols\r\nUpgrade: websocket\r", "\n\r\n\x89\x00"} {
			conn.Write([]byte(piece))
			// So that each is read by itself: the other side must be at its next read.
			time.Sleep(5 * time.Millisecond)
		}
		pong := make([]byte, 6)
		if n, err := conn.Read(pong); err != nil || n != 6 || pong[0] != 0x8a {
			t.Errorf("got % x, %v, want a pong", pong[:n], err)
		}
	}))
	if _, err := c.Connect(requests(1), 1); err != nil {
		t.Fatal(err)
	}
	if err := c.Rest(50 * time.Millisecond); err != nil {
		t.Fatal(err)
	}
	if c.Lost() != 1 {
		t.Errorf("got %d lost, want the one that was closed", c.Lost())
	}
}

func TestFirstMessage(t *testing.T) {
	e := &echo{}
	t.Cleanup(e.wg.Wait)
	c := serve(t, e)
	list := requests(5)
	for i := range list {
		list[i].Messages = [][]byte{epoll.TextFrame([]byte("let me in"))}
	}
	o, err := c.Connect(list, 2)
	if err != nil || len(o.Latencies) != 5 {
		t.Errorf("got %d, %v, want 5 that were answered", len(o.Latencies), err)
	}
}

func TestAwaitClose(t *testing.T) {
	e := &echo{}
	t.Cleanup(e.wg.Wait)
	c := serve(t, e)
	if _, err := c.Connect(requests(10), 5); err != nil {
		t.Fatal(err)
	}
	o, err := c.AwaitClose(func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		for _, conn := range e.conns {
			if err := ws.WriteFrame(conn, ws.NewCloseFrame(ws.NewCloseFrameBody(4401, "revoked"))); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(o.Latencies) != 10 {
		t.Errorf("got %d Close frames, %v, want 10", len(o.Latencies), err)
	}
}

// Who hangs up without a word is not who says goodbye.
func TestAwaitCloseOfSilence(t *testing.T) {
	e := &echo{}
	t.Cleanup(e.wg.Wait)
	c := serve(t, e)
	if _, err := c.Connect(requests(1), 1); err != nil {
		t.Fatal(err)
	}
	_, err := c.AwaitClose(func() error {
		e.mu.Lock()
		defer e.mu.Unlock()
		return e.conns[0].Close()
	})
	if err == nil || !strings.Contains(err.Error(), "without a Close frame") {
		t.Errorf("got %v, want an error", err)
	}
}

func TestChurn(t *testing.T) {
	e := &echo{}
	t.Cleanup(e.wg.Wait)
	c := serve(t, e)
	if _, err := c.Connect(requests(4), 4); err != nil {
		t.Fatal(err)
	}
	o, err := c.Churn(requests(3), 2, 50, time.Minute, nil)
	if err != nil || len(o.Latencies) != 50 {
		t.Errorf("by number: got %d, %v, want 50", len(o.Latencies), err)
	}
	o, err = c.Churn(requests(3), 2, 0, 30*time.Millisecond, nil)
	if err != nil || len(o.Latencies) == 0 || o.Took < 30*time.Millisecond {
		t.Errorf("by time: got %d in %v, %v", len(o.Latencies), o.Took, err)
	}
	if c.Live() != 4 || c.Lost() != 0 {
		t.Errorf("got %d live and %d lost, want the 4 from before", c.Live(), c.Lost())
	}
}
