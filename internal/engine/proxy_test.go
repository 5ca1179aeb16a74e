package engine_test

import (
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// A proxy stands between an engine and a NATS server. It can be cut, so that
// connections end and new ones are refused, and it can be muted, so that they
// stay and nothing arrives any more.
type proxy struct {
	addr, target string
	muted        atomic.Bool
	wg           sync.WaitGroup

	mu       sync.Mutex
	listener net.Listener
	conns    map[net.Conn]struct{}
}

func newProxy(t *testing.T, target string) *proxy {
	t.Helper()
	addr := fmt.Sprintf("127.0.0.1:%d", enginetest.FreePorts(t, 1)[0]) // It is opened again.
	p := &proxy{addr: addr, target: target, conns: make(map[net.Conn]struct{})}
	p.open(t)
	t.Cleanup(func() {
		p.cut()
		p.wg.Wait()
	})
	return p
}

func (p *proxy) url() string { return "nats://" + p.addr }

// open lets connections through again.
func (p *proxy) open(t *testing.T) {
	t.Helper()
	l, err := net.Listen("tcp", p.addr)
	if err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.listener = l
	p.mu.Unlock()
	p.wg.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			p.wg.Go(func() { p.pass(in) })
		}
	})
}

// cut ends all connections and takes no more.
func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listener.Close()
	for c := range p.conns {
		c.Close()
	}
}

func (p *proxy) pass(in net.Conn) {
	out, err := net.Dial("tcp", p.target)
	if err != nil {
		in.Close()
		return
	}
	p.mu.Lock()
	p.conns[in], p.conns[out] = struct{}{}, struct{}{}
	p.mu.Unlock()
	var both sync.WaitGroup
	for _, pair := range [][2]net.Conn{{in, out}, {out, in}} {
		both.Go(func() {
			_, _ = io.Copy(unlessMuted{pair[1], &p.muted}, pair[0])
			in.Close()
			out.Close()
		})
	}
	both.Wait()
	p.mu.Lock()
	delete(p.conns, in)
	delete(p.conns, out)
	p.mu.Unlock()
}

// unlessMuted throws away what is written while muted.
type unlessMuted struct {
	io.Writer
	muted *atomic.Bool
}

func (w unlessMuted) Write(b []byte) (int, error) {
	if w.muted.Load() {
		return len(b), nil
	}
	return w.Writer.Write(b)
}
