package usher_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
)

// Drain "returns when all are closed". One whose goodbye is under way already,
// by End, by its expiry or by an earlier Drain, is not waited for.
func TestDrainReturnsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := byBearer(lasting(time.Hour))
		g.Sessions = new(usher.Sessions)
		ended := make(chan struct{})
		p, done := overPipe(t, g, takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			usher.End(r.Context(), usher.ErrForbidden)
			close(ended)
			<-r.Context().Done()
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		<-ended
		go p.receive() // And no Close frame of its own: the goodbye takes 3 s.
		if err := g.Sessions.Drain(t.Context(), 0); err != nil {
			t.Fatal(err)
		}
		if n := g.Sessions.Len(); n != 0 {
			t.Errorf("Drain has returned, and %d connection is still being seen off", n)
		}
		p.Close()
		<-done
		synctest.Wait()
		time.Sleep(lingers)
	})
}

// lingers is longer than a goodbye takes.
const lingers = 4 * time.Second

// embedded is a listener's connection as many write it: it embeds the one of
// the operating system, and has a Read of its own.
type embedded struct {
	*net.TCPConn
	read *atomic.Int64
}

func (c embedded) Read(p []byte) (int, error) {
	n, err := c.TCPConn.Read(p)
	for i := range p[:n] {
		p[i] ^= 0x55 // Stands for decryption, or for bytes that were peeked at.
	}
	c.read.Add(int64(n))
	return n, err
}

type embeddedListener struct {
	net.Listener
	read *atomic.Int64
}

func (l embeddedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return embedded{c.(*net.TCPConn), l.read}, nil
}

type xored struct{ net.Conn }

func (c xored) Write(p []byte) (int, error) {
	q := make([]byte, len(p))
	for i := range p {
		q[i] = p[i] ^ 0x55
	}
	return c.Conn.Write(q)
}

// io.Copy from a connection that wraps another gets the bytes past its Read.
func TestWrappedConnection(t *testing.T) {
	var read atomic.Int64
	got := make(chan []byte, 100)
	g := byBearer(lasting(time.Hour))
	s := newServer(t, g.Handler(copied(got)))
	s.Listener = embeddedListener{s.Listener, &read}
	s.Start()
	addr := s.Listener.Addr().String()
	raw, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	p := newPeer(t, xored{raw})
	p.say(upgrade(addr, "/", authorized))
	p.status(http.StatusSwitchingProtocols)
	time.Sleep(50 * time.Millisecond)
	frame := masked(ws.NewTextFrame([]byte("hello")))
	p.say(string(frame))
	if b := <-got; !bytes.Equal(b, frame) {
		t.Errorf("handler got %q, the client sent %q", b, frame)
	}
	p.Close()
}

// Credentials that are with their verifier are bounded in number, and no address
// among many users has fewer places than another.
func TestVerifyingIsBounded(t *testing.T) {
	var most, now atomic.Int64
	others := make(chan struct{}) // Closed when all others were refused.
	v := usher.VerifierFunc(func(ctx context.Context, _ usher.Credential) (*usher.Identity, error) {
		n := now.Add(1)
		defer now.Add(-1)
		for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
		}
		select {
		case <-others:
		case <-ctx.Done():
		}
		return nil, usher.ErrUnavailable
	})
	g := byBearer(v)
	g.Limits = usher.Limits{Verifying: 30, PendingPerAddress: 2, Verify: patience}
	s := guard(t, g, idle)
	var full atomic.Int64
	var wait sync.WaitGroup
	for range 50 {
		p := dial(t, s.addr, "")
		p.say(upgrade(s.addr, "/", authorized))
		wait.Go(func() {
			if res, err := http.ReadResponse(p.rd, nil); err == nil && res.StatusCode == http.StatusServiceUnavailable {
				_ = res.Body.Close()
				if full.Add(1) == 20 {
					close(others)
				}
			}
		})
	}
	wait.Wait()
	if most.Load() != 30 || full.Load() != 50 {
		t.Errorf("got %d credentials with the verifier at one time and %d refusals, want 30 and 50", most.Load(), full.Load())
	}
}

// A *Refusal with an ID that a verifier returns more than once is written to by
// each request (race detector).
func TestSharedRefusal(t *testing.T) {
	shared := &usher.Refusal{Status: 403, Code: 4403, Word: "forbidden", ID: "maintenance1"}
	v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) { return nil, shared })
	h := (&usher.Guard{Carriers: []usher.Carrier{usher.Bearer(v), usher.Query("", v)}, Log: quiet()}).Handler(idle)
	var wait sync.WaitGroup
	for i := range 8 {
		wait.Go(func() {
			for range 50 {
				r := httptest.NewRequest(http.MethodGet, "/", nil)
				if i%2 == 0 {
					r.Header.Set("Authorization", "Bearer x")
				} else {
					r.URL.RawQuery = "access_token=x"
				}
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	wait.Wait()
	if shared.Carrier != "" {
		t.Errorf("the verifier's own refusal was changed: carrier %q", shared.Carrier)
	}
}
