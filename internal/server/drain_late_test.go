package server

import (
	"bufio"
	"context"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
)

// A wire is the ResponseWriter of a request on an in-memory connection.
type wire struct {
	net.Conn
	header http.Header
}

func (w *wire) Header() http.Header { return w.header }

func (w *wire) WriteHeader(int) {}

func (w *wire) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return w.Conn, bufio.NewReadWriter(bufio.NewReader(w.Conn), bufio.NewWriter(w.Conn)), nil
}

// drained is a server of which only the drain counts, and its guard.
func drained() (*Server, *usher.Guard) {
	k := &kept{log: slog.New(slog.DiscardHandler), sessions: &usher.Sessions{}}
	return &Server{kept: k}, &usher.Guard{Log: k.log, Sessions: k.sessions, Carriers: []usher.Carrier{
		usher.Bearer(usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			return &usher.Identity{Subject: "alice", Issuer: "test"}, nil
		})),
	}}
}

func handshake(t *testing.T) *http.Request {
	t.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader("GET / HTTP/1.1\r\nHost: example.com\r\n" +
		"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nAuthorization: Bearer word\r\n\r\n")))
	if err != nil {
		t.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1234"
	return r
}

// sit admits a connection in memory, whose handler is busy for that long when it
// is told to go, as on a machine that is. It returns the client's end.
func sit(t *testing.T, g *usher.Guard, busy time.Duration) net.Conn {
	t.Helper()
	client, server := net.Pipe()
	r := handshake(t)
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			t.Errorf("answer the client: %v", err)
			return
		}
		usher.OnParting(r.Context(), usher.Parting{Goodbye: func(*usher.Refusal) []byte {
			time.Sleep(busy)
			return nil
		}})
		_, _ = c.Read(make([]byte, 1)) // Until the end.
	}))
	go h.ServeHTTP(&wire{server, make(http.Header)}, r)
	rd := bufio.NewReader(client)
	if res, err := http.ReadResponse(rd, r); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got %v, %v, want 101", res, err)
	}
	return client
}

// On a machine that is too busy to tell all in time nobody is cut untold, as long
// as some are seen off. What does not leave at all does not hold up the end.
func TestDrainOfMany(t *testing.T) {
	tests := []struct {
		name string
		busy []time.Duration
		told int // How many of them.
		ends time.Duration
	}{
		{"nobody", nil, 0, 0},
		{"at once", []time.Duration{0, 0}, 2, 0},
		{"one after the end", []time.Duration{0, farewell + time.Second}, 2, farewell + time.Second},
		{"some after the end", []time.Duration{0, farewell + 1, 3 * farewell / 2, 2*farewell + 1}, 4, 2*farewell + 1},
		{"all after the end", []time.Duration{farewell + 1, farewell + 1}, 0, farewell},
		{"one never", []time.Duration{0, time.Hour}, 1, 2 * farewell},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, g := drained()
				told := make(chan bool, len(tt.busy))
				for _, busy := range tt.busy {
					c := sit(t, g, busy)
					go func() {
						f, err := ws.ReadFrame(c)
						told <- err == nil && f.Header.OpCode == ws.OpClose
						c.Close()
					}()
				}
				synctest.Wait()
				begun := time.Now()
				s.drain(&http.Server{}, 0)
				if took := time.Since(begun); took < tt.ends || took > tt.ends+3*drainStep {
					t.Errorf("the drain took %v, want %v", took, tt.ends)
				}
				if n := len(told); n != tt.told {
					t.Errorf("got %d who were told, want %d", n, tt.told)
				}
				time.Sleep(2 * time.Hour) // Until all are.
			})
		})
	}
}

// Who sees that a server drains is not admitted by it.
func TestDrainBegins(t *testing.T) {
	for range 500 {
		s, g := drained()
		h := g.Handler(http.NotFoundHandler())
		r, w := handshake(t), httptest.NewRecorder()
		done := make(chan struct{})
		go func() {
			defer close(done)
			s.drain(&http.Server{}, 0)
		}()
		for !s.draining.Load() {
			runtime.Gosched()
		}
		h.ServeHTTP(w, r)
		<-done
		if w.Code != http.StatusServiceUnavailable {
			t.Fatalf("got %d, want 503", w.Code)
		}
	}
}
