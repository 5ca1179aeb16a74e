package ably_test

import (
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// The directions of a network.
const (
	up   = iota // To the server.
	down        // To the client.
)

// A network stands between clients and the node. It can be cut, half closed and
// stalled, and lead nowhere.
type network struct {
	// Immutable.
	port  int
	delay time.Duration // Each way.

	nowhere atomic.Bool // No more connections are taken.
	running sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	links map[*link]struct{}
}

// A link is one connection through a network.
type link struct {
	ends    [2]*net.TCPConn // Where up and down lead: the server and the client.
	stalled [2]atomic.Bool
	once    sync.Once
	over    chan struct{}
}

func newNetwork(t *testing.T, delay time.Duration) *network {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{port: l.Addr().(*net.TCPAddr).Port, delay: delay, links: make(map[*link]struct{})}
	n.running.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			n.running.Go(func() { n.pass(c.(*net.TCPConn)) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		n.nowhere.Store(true)
		n.cut()
		n.running.Wait()
	})
	return n
}

func (n *network) pass(client *net.TCPConn) {
	server, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", hub.port))
	if err != nil {
		client.Close()
		return
	}
	l := &link{ends: [2]*net.TCPConn{up: server.(*net.TCPConn), down: client}, over: make(chan struct{})}
	n.mu.Lock()
	n.links[l] = struct{}{}
	n.mu.Unlock()
	if n.nowhere.Load() {
		l.cut()
	}
	var both sync.WaitGroup
	both.Go(func() { l.pump(up, n.delay) })
	both.Go(func() { l.pump(down, n.delay) })
	both.Wait()
	l.cut()
	n.mu.Lock()
	delete(n.links, l)
	n.mu.Unlock()
}

// pump passes on what comes, and its end.
func (l *link) pump(way int, delay time.Duration) {
	from, to := l.ends[1-way], l.ends[way]
	buf := make([]byte, 32<<10)
	for {
		n, err := from.Read(buf)
		if l.stalled[way].Load() {
			<-l.over
			return
		}
		time.Sleep(delay)
		_, _ = to.Write(buf[:n]) // After half this is lost, and the other direction goes on.
		if err != nil {
			_ = to.CloseWrite()
			return
		}
	}
}

// cut ends a link at once (RST).
func (l *link) cut() {
	l.once.Do(func() {
		close(l.over)
		for _, c := range l.ends {
			_ = c.SetLinger(0)
			_ = c.Close()
		}
	})
}

// each does something with what goes through the network now.
func (n *network) each(do func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.links {
		do(l)
	}
}

func (n *network) cut() { n.each((*link).cut) }

// half ends one direction (FIN).
func (n *network) half(way int) { n.each(func(l *link) { _ = l.ends[way].CloseWrite() }) }

// stall has one direction stand still, without a word.
func (n *network) stall(way int) { n.each(func(l *link) { l.stalled[way].Store(true) }) }
