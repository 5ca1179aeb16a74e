package cluster_test

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/ushertest"
)

// A cable is what a gateway reaches NATS through, and can be pulled.
type cable struct {
	address string
	to      string

	mu sync.Mutex
	// Guarded by mu.
	pulled bool
	conns  map[net.Conn]struct{}
}

func newCable(t *testing.T, to string) *cable {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cable{address: l.Addr().String(), to: to, conns: make(map[net.Conn]struct{})}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			running.Go(func() { c.carry(in) })
		}
	})
	t.Cleanup(func() {
		_ = l.Close()
		c.pull()
		running.Wait()
	})
	return c
}

func (c *cable) carry(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.to)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	if c.pulled {
		c.mu.Unlock()
		return
	}
	c.conns[in], c.conns[out] = struct{}{}, struct{}{}
	c.mu.Unlock()
	var copying sync.WaitGroup
	for _, way := range [][2]net.Conn{{in, out}, {out, in}} {
		copying.Go(func() {
			_, _ = io.Copy(way[0], way[1])
			_ = in.Close()
			_ = out.Close()
		})
	}
	copying.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.conns, in)
	delete(c.conns, out)
}

func (c *cable) pull() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = true
	for conn := range c.conns {
		_ = conn.Close()
	}
}

func (c *cable) plug() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pulled = false
}

// TestCutOff cuts one gateway off from the engine: it refuses what it cannot
// judge alone, says so, and catches up when it is back.
func TestCutOff(t *testing.T) {
	nats, login, b := startNATS(t), ushertest.NewIssuer(t), startBackend(t)
	near := startGateway(t, "near", nats.urls(0), login, b)
	var cables []*cable
	var urls []string
	for _, n := range nats.nodes {
		c := newCable(t, n.address())
		cables = append(cables, c)
		urls = append(urls, "nats://"+c.address)
	}
	far := startGateway(t, "far", strings.Join(urls, ","), login, b)

	alice, bob := login.Token("alice"), login.Token("bob")
	connected, err := dial(t.Context(), far.public, "", alice)
	if err != nil {
		t.Fatal(err)
	}
	defer connected.conn.Close()
	ticket, status := far.ticket(bob)
	if status != http.StatusOK {
		t.Fatalf("desk: got status %d, want 200", status)
	}

	for _, c := range cables {
		c.pull()
	}
	eventually(t, 30*time.Second, "unready", func() bool {
		status, body := far.ready()
		return status == http.StatusServiceUnavailable && strings.Contains(body, "engine")
	})
	far.process.line("level=WARN", "engine")
	if _, err := dial(t.Context(), far.public, "?ticket="+ticket, ""); statusOf(err) != http.StatusServiceUnavailable {
		t.Errorf("ticket at the node that is cut off: got %v, want status 503", err)
	}
	if c, err := dial(t.Context(), far.public, "", bob); err != nil {
		t.Errorf("token at the node that is cut off: got %v, want it admitted", err)
	} else {
		_ = c.conn.Close()
	}
	if got := far.post(far.admin, "/usher/v1/revocations", "", map[string]any{"subject": "nobody"}, nil); got != http.StatusServiceUnavailable {
		t.Errorf("revocation at the node that is cut off: got status %d, want 503", got)
	}
	near.revoke(map[string]any{"subject": "alice"})

	for _, c := range cables {
		c.plug()
	}
	back := time.Now()
	e, err := connected.ended()
	if err != nil || e.code != usher.CloseUnauthenticated || e.word != "revoked" {
		t.Errorf("got the end %+v %v, want 4401 revoked", e, err)
	}
	t.Logf("the node that was cut off had caught up %v after it could", e.at.Sub(back).Round(time.Millisecond))
	if late := e.at.Sub(back); late > 5*time.Second {
		t.Errorf("got the end %v after the node was back, want within 5s", late)
	}
	if _, err := dial(t.Context(), far.public, "", alice); statusOf(err) != http.StatusUnauthorized {
		t.Errorf("revoked token: got %v, want status 401", err)
	}
	eventually(t, 30*time.Second, "ready again", func() bool { status, _ := far.ready(); return status == http.StatusOK })
	if c, err := dial(t.Context(), far.public, "?ticket="+ticket, ""); err != nil {
		t.Errorf("the ticket that was not judged: %v", err)
	} else {
		_ = c.conn.Close()
	}
}
