package usher_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// A run is one connection of the property test, with all that is random in it.
type run struct {
	seed    uint64
	writer  string // How the handler writes.
	reader  string // How the client reads.
	tls     bool
	expires time.Time // Set by the verifier, and sent through admitted.
	machine *lateness

	admitted chan time.Time
	ended    chan error // What the handler says of its connection's end.
}

// TestExpiryProperty ends connections of every kind in the middle of what they
// do. Whatever that is, the client receives a valid sequence of frames that
// ends in one Close, in time, and the handler learns of it at once, also where a
// write is stuck. TestConnStuck has what becomes of such a write.
func TestExpiryProperty(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	machine := measured(t)
	runs := make(map[string]*run)
	for _, writer := range []string{"raw", "raw", "raw", "gorilla", "coder"} {
		for _, reader := range []string{"fast", "slow", "stuck"} {
			for _, secure := range []bool{false, true} {
				r := &run{
					seed: random.Uint64(), writer: writer, reader: reader, tls: secure, machine: machine,
					admitted: make(chan time.Time, 1), ended: make(chan error, 1),
				}
				runs[fmt.Sprint(len(runs))] = r
			}
		}
	}
	g := &usher.Guard{Carriers: []usher.Carrier{usher.Query("", usher.VerifierFunc(
		func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
			r := runs[c.Secret.Reveal()]
			expires := time.Now().Add(time.Second + time.Duration(r.seed%400)*time.Millisecond)
			r.admitted <- expires
			return &usher.Identity{Subject: c.Secret.Reveal(), Expires: expires}, nil
		}))}, Log: quiet()}
	h := g.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id, err := usher.FromContext(r.Context())
		if err != nil {
			t.Error(err)
			return
		}
		runs[id.Subject].handle(w, r)
	}))
	small := func(c net.Conn) net.Conn {
		// Else megabytes wait in the kernel in front of the Close; with less
		// than a few segments of loopback, TCP itself waits for its timers.
		_ = c.(*net.TCPConn).SetWriteBuffer(128 << 10)
		return c
	}
	secure, plain := serveTLS(t, h, small), serveWrapped(t, h, small)
	var all sync.WaitGroup
	busy := make(chan struct{}, 6) // More at once would measure the machine.
	for name, r := range runs {
		all.Go(func() {
			busy <- struct{}{}
			defer func() { <-busy }()
			addr, config := plain.Listener.Addr().String(), (*tls.Config)(nil)
			if r.tls {
				addr = secure.Listener.Addr().String()
				config = secure.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				config.ServerName = "example.com"
			}
			err := r.visit(t.Context(), addr, name, config)
			if r.tooLate(err) {
				err = <-r.ended
			}
			if err != nil {
				t.Errorf("writer %s, reader %s, tls %v, seed %d: %v", r.writer, r.reader, r.tls, r.seed, err)
			}
		})
	}
	all.Wait()
}

// An end is a handler's end of a connection, written with any library.
type end struct {
	read   func() error
	write  func() error
	finish func() // What a library does by itself: the rest of a frame.
	close  func() error
}

// open answers the handshake.
func (r *run) open(w http.ResponseWriter, req *http.Request) (*end, error) {
	random := rand.New(rand.NewPCG(r.seed, 1))
	switch r.writer {
	case "gorilla":
		u := gorilla.Upgrader{EnableCompression: true}
		c, err := u.Upgrade(w, req, nil)
		if err != nil {
			return nil, err
		}
		return &end{
			read:  func() error { _, _, err := c.ReadMessage(); return err },
			write: func() error { return writeGorilla(c, random) }, finish: func() {}, close: c.Close,
		}, nil
	case "coder":
		c, err := coder.Accept(w, req, &coder.AcceptOptions{CompressionMode: coder.CompressionContextTakeover})
		if err != nil {
			return nil, err
		}
		own := context.WithoutCancel(req.Context())
		return &end{
			read:  func() error { _, _, err := c.Read(own); return err },
			write: func() error { return c.Write(own, coder.MessageBinary, noise(random, 300<<10)) }, finish: func() {}, close: c.CloseNow,
		}, nil
	}
	c, _, _, err := ws.UpgradeHTTP(req, w)
	if err != nil {
		return nil, err
	}
	stream := &rawStream{random: random}
	return &end{
		read:   func() error { return untilEnd(c) },
		write:  func() error { return stream.write(c) },
		finish: func() { _, _ = c.Write(stream.pending) }, close: c.Close,
	}, nil
}

// handle writes without an end, and says what it learned of the end.
func (r *run) handle(w http.ResponseWriter, req *http.Request) {
	e, err := r.open(w, req)
	if err != nil {
		r.ended <- err
		return
	}
	defer e.close()
	over, writer := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(writer)
		for e.write() == nil {
			select {
			case <-over:
				e.finish()
				return
			default:
			}
		}
	}()
	for err == nil {
		err = e.read()
	}
	after := time.Now()
	<-req.Context().Done()
	cause := context.Cause(req.Context())
	id, _ := usher.FromContext(req.Context())
	switch late := after.Sub(id.Expires); {
	case !errors.Is(err, net.ErrClosed):
		err = fmt.Errorf("handler read %w, want net.ErrClosed", err)
	case !errors.Is(cause, usher.ErrExpired):
		err = fmt.Errorf("handler's context ended by %w, want ErrExpired", cause)
	case late < 0 || late > r.machine.grace():
		err = fmt.Errorf("handler's read ended %v after the expiry, want %v at most", late, r.machine.grace())
	default:
		err = nil
	}
	r.ended <- err
	close(over)
	<-writer
}

// noise is up to limit bytes, that compress a little.
func noise(random *rand.Rand, limit int) []byte {
	b := make([]byte, random.IntN(limit+1))
	for i := range b {
		b[i] = byte('a' + random.UintN(16))
	}
	return b
}

func writeGorilla(c *gorilla.Conn, random *rand.Rand) error {
	if random.IntN(4) == 0 {
		return c.WriteControl(gorilla.PingMessage, noise(random, 125), time.Now().Add(time.Minute))
	}
	w, err := c.NextWriter(gorilla.TextMessage + random.IntN(2))
	if err != nil {
		return err
	}
	c.EnableWriteCompression(random.IntN(2) == 0)
	for range random.IntN(4) {
		if _, err := w.Write(noise(random, 100<<10)); err != nil {
			return err
		}
	}
	return w.Close()
}

// A rawStream is a valid sequence of frames that is written in pieces which
// have nothing to do with where frames begin and end.
type rawStream struct {
	random  *rand.Rand
	pending []byte
	within  bool // A message has more fragments to come.
}

func (s *rawStream) write(w io.Writer) error {
	for range 1 + s.random.IntN(3) {
		s.pending = append(s.pending, s.frame()...)
	}
	for len(s.pending) > 300 {
		n := 1 + s.random.IntN(min(len(s.pending), 1<<s.random.IntN(19)))
		if _, err := w.Write(s.pending[:n]); err != nil {
			return err
		}
		s.pending = s.pending[n:]
	}
	return nil
}

func (s *rawStream) frame() []byte {
	f := ws.NewFrame(ws.OpText, s.random.IntN(2) == 0, nil)
	switch {
	case s.random.IntN(5) == 0:
		return ws.MustCompileFrame(ws.NewPingFrame(noise(s.random, 125)))
	case s.within:
		f.Header.OpCode = ws.OpContinuation
	case s.random.IntN(2) == 0:
		f.Header.OpCode = ws.OpBinary
	}
	s.within = !f.Header.Fin
	f.Payload = noise(s.random, slices.Max([]int{0, 1 << s.random.IntN(10), s.random.IntN(2) * 300 << 10}))
	f.Header.Length = int64(len(f.Payload))
	return ws.MustCompileFrame(f)
}
