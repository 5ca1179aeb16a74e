//go:build linux

package epoll_test

import (
	"bytes"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/usher-ws/usher/test/load/epoll"
)

// A relay passes what anybody says on to all who are at the same path, but for
// who says it, in pieces that are cut anywhere, and acknowledges it. It greets.
type relay struct {
	mu    sync.Mutex
	rooms map[string][]net.Conn // Guarded by mu.
	wg    sync.WaitGroup
	pongs atomic.Int64
}

func (r *relay) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.wg.Add(1) // While the server still waits for the connection at its end.
	c, _, _, err := ws.UpgradeHTTP(q, w)
	if err != nil {
		r.wg.Done()
		return
	}
	r.mu.Lock()
	r.rooms[q.URL.Path] = append(r.rooms[q.URL.Path], c)
	r.mu.Unlock()
	go func() {
		defer r.wg.Done()
		defer c.Close()
		wsutil.WriteServerText(c, []byte("welcome"))
		for {
			f, err := ws.ReadFrame(c)
			if err != nil {
				return
			}
			if f.Header.OpCode == ws.OpPong {
				r.pongs.Add(1)
				continue
			}
			r.pass(q.URL.Path, c, ws.UnmaskFrame(f).Payload)
		}
	}()
}

func (r *relay) pass(room string, from net.Conn, message []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range r.rooms[room] {
		if c == from {
			continue
		}
		frame := ws.MustCompileFrame(ws.NewTextFrame(message))
		at := 2 + bytes.Index(message, []byte("~mark")) + len(message)%5
		c.Write(frame[:at])
		c.Write(frame[at:])
	}
	wsutil.WriteServerText(from, []byte("got it"))
}

// room are the connections of a channel: one that sends so many, and others.
func room(channel, subscribers, each int) []epoll.Request {
	list := make([]epoll.Request, 1+subscribers)
	for i := range list {
		list[i] = epoll.Request{
			Handshake: []byte(strings.Replace(handshake, "GET /", "GET /"+string(rune('a'+channel)), 1)),
			Greeted:   true, Channel: channel,
		}
	}
	for i := range each {
		list[0].Publishes.Add(epoll.TextFrame([]byte(strings.Repeat("x", i%7) + "~mark")))
	}
	return list
}

func TestPublish(t *testing.T) {
	r := &relay{rooms: make(map[string][]net.Conn)}
	t.Cleanup(r.wg.Wait)
	c := serve(t, r)
	if _, err := c.Connect(append(room(0, 3, 30), room(1, 5, 30)...), 2); err != nil {
		t.Fatal(err)
	}
	load := epoll.Load{Each: 10, Window: 4, Ack: "got", Mark: "~mark"}
	o, err := c.Publish(load)
	if err != nil || len(o.Latencies) != 20 {
		t.Errorf("got %d, %v, want 20 that are through", len(o.Latencies), err)
	}
	if n := r.pongs.Load(); n > 0 {
		t.Errorf("got %d pongs in no time, want none", n)
	}
	load.Every, load.Alive = 3*time.Millisecond, 10*time.Millisecond
	if o, err = c.Publish(load); err != nil || len(o.Latencies) != 20 || o.Took < 10*load.Every {
		t.Errorf("at a pace: got %d in %v, %v", len(o.Latencies), o.Took, err)
	}
	for end := time.Now().Add(5 * time.Second); r.pongs.Load() < 10 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := r.pongs.Load(); n < 10 {
		t.Errorf("at a pace: got %d pongs, want one of each connection at least", n)
	}
	if c.Live() != 10 || c.Lost() != 0 {
		t.Errorf("got %d live and %d lost, want 10 and no clock", c.Live(), c.Lost())
	}
	load.Each = 11
	if _, err := c.Publish(load); err == nil || !strings.Contains(err.Error(), "10 messages are prepared, of 11") {
		t.Errorf("got %v, want more than there are refused", err)
	}
}

func TestPublishToNobody(t *testing.T) {
	r := &relay{rooms: make(map[string][]net.Conn)}
	t.Cleanup(r.wg.Wait)
	c := serve(t, r)
	if _, err := c.Publish(epoll.Load{Each: 1, Window: 1}); err == nil {
		t.Error("got no error without a connection")
	}
	if _, err := c.Connect(room(0, 0, 1), 1); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Publish(epoll.Load{Each: 1, Window: 1, Ack: "got", Mark: "~mark"}); err == nil {
		t.Error("got no error without a subscriber")
	}
}
