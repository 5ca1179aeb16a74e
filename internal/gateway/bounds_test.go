package gateway_test

import (
	"bufio"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptest"
	"os"
	"runtime"
	"runtime/debug"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// inUse is the memory of heap and stacks after a collection, in bytes.
func inUse() int64 {
	runtime.GC()
	runtime.GC() // What pools hold goes with the second.
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// While one side is slow, the other waits: nothing of a frame is kept but what
// fits into the pump's buffer and the kernel's.
func TestTunnelSlowSide(t *testing.T) {
	for _, tt := range []struct {
		name         string
		slowUpstream bool
	}{{"client", false}, {"upstream", true}} {
		t.Run(tt.name, func(t *testing.T) {
			conns, done := make(chan net.Conn, 1), make(chan struct{})
			b := raw(t, func(c net.Conn, head string) {
				_, _ = io.WriteString(c, switched(head))
				conns <- c
				<-done
			})
			defer close(done)
			g := open(t, target(t, "ws://"+b.addr))
			p, _ := connect(t, g.addr, "/chat")
			var reader, writer net.Conn = &bufferedConn{Conn: p.Conn, rd: p.rd}, <-conns
			if tt.slowUpstream {
				reader, writer = writer, reader
			}
			slowReader(t, reader, writer, tt.slowUpstream)
		})
	}
}

// slowReader writes a frame of 16 MiB, and reads it only after the writer has
// had to wait.
func slowReader(t *testing.T, reader, writer net.Conn, masked bool) {
	t.Helper()
	const size = 16 << 20
	before := inUse()
	if err := ws.WriteHeader(writer, ws.Header{Fin: true, OpCode: ws.OpBinary, Length: size, Masked: masked}); err != nil {
		t.Fatal(err)
	}
	chunk, sent, waited := make([]byte, 64<<10), 0, false
	counted := make(chan int64, 1)
	for sent < size {
		_ = writer.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		n, err := writer.Write(chunk[:min(len(chunk), size-sent)])
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) && !waited {
			waited = true
			if grown := inUse() - before; grown > 1<<20 {
				t.Errorf("got %d bytes more in use while the reader is slow, want at most 1 MiB", grown)
			}
			go func() {
				h, err := ws.ReadHeader(reader)
				if err != nil || h.Length != size {
					t.Errorf("got head %v, %v, want %d bytes", h, err, size)
				}
				n, _ := io.Copy(io.Discard, io.LimitReader(reader, size))
				counted <- n
			}()
		} else if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatal(err)
		}
	}
	if !waited {
		t.Fatal("the writer never had to wait")
	}
	if n := <-counted; n != size {
		t.Errorf("got %d bytes, want %d", n, size)
	}
}

// An idle tunnel holds no buffer of 32 KiB. What is measured is the gateway, the
// clients and the backend together.
func TestTunnelIdleMemory(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tls   bool
		ping  time.Duration
		bound int64
	}{
		{"plain", false, 0, 60 << 10},
		{"plain, with pings", false, time.Hour, 60 << 10},
		{"tls", true, 0, 72 << 10},
	} {
		t.Run(tt.name, func(t *testing.T) {
			const tunnels = 500
			done := make(chan struct{})
			b := raw(t, func(c net.Conn, head string) {
				_, _ = io.WriteString(c, switched(head))
				f, err := ws.ReadFrame(c)
				if err == nil {
					f.Header.Masked = false
					_ = ws.WriteFrame(c, f)
				}
				<-done
			})
			defer close(done)
			g := open(t, target(t, "ws://"+b.addr), pinging(tt.ping))
			front := g.addr
			if tt.tls {
				front = terminate(t, g)
			}
			before := inUse()
			for range tunnels {
				p := dialTLS(t, front, tt.tls)
				p.say(upgrade("/chat", bearer))
				p.answer()
				p.send(ws.NewBinaryFrame(make([]byte, 1000)))
				p.receive()
				p.rd = nil
			}
			each := (inUse() - before) / tunnels
			t.Logf("%d bytes for each tunnel", each)
			if each > tt.bound {
				t.Errorf("got %d bytes for each idle tunnel, want at most %d", each, tt.bound)
			}
		})
	}
}

// A message does not make the stacks of a tunnel's goroutines grow: they would stay
// so while it idles.
func TestTunnelStacks(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // It makes stacks smaller.
	const tunnels = 200
	done := make(chan struct{})
	b := raw(t, func(c net.Conn, head string) {
		grown()
		_, _ = io.WriteString(c, switched(head))
		f, err := ws.ReadFrame(c)
		if err == nil {
			f.Header.Masked = false
			_ = ws.WriteFrame(c, f)
		}
		<-done
	})
	defer close(done)
	g := open(t, target(t, "ws://"+b.addr), func(_ *gateway.Route, g *usher.Guard) { g.Detach = true })
	peers := make([]*peer, tunnels)
	for i := range peers {
		peers[i], _ = connect(t, g.addr, "/chat")
	}
	before := stacks()
	for _, p := range peers {
		p.send(ws.NewBinaryFrame(make([]byte, 128)))
		p.receive()
	}
	if each := (stacks() - before) / tunnels; each > 1<<10 {
		t.Errorf("got %d bytes more of stacks for each tunnel after a message, want none", each)
	}
}

// stacks is the memory of all stacks, in bytes.
func stacks() int64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.StackInuse)
}

// grown makes the stack of its goroutine grow.
//
//go:noinline
func grown() byte {
	var room [16 << 10]byte
	for i := range room {
		room[i] = byte(i)
	}
	return room[len(os.Args)]
}

// terminate puts TLS in front of a gate, as a server with a certificate has it,
// and returns the address.
func terminate(t *testing.T, g *gate) string {
	t.Helper()
	s := httptest.NewUnstartedServer(g.Config.Handler)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func dialTLS(t *testing.T, addr string, secure bool) *peer {
	t.Helper()
	p := dial(t, addr)
	if secure {
		p.Conn = tls.Client(p.Conn, &tls.Config{InsecureSkipVerify: true})
		p.rd = bufio.NewReader(p.Conn)
	}
	return p
}
