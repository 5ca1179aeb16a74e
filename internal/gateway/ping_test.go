package gateway_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	gorilla "github.com/gorilla/websocket"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// pinging sets the route's Ping.
func pinging(d time.Duration) setting {
	return func(rt *gateway.Route, _ *usher.Guard) { rt.Ping = d }
}

// A caller is a client as users have one. It reads until the end, counts the
// Pings that it gets, and hands texts to the channel.
type caller struct {
	say   func(text string) error
	pings *atomic.Int64
	texts <-chan string
}

// callers are clients with different libraries, which answer Pings by
// themselves.
var callers = map[string]func(t *testing.T, g *gate) caller{
	"gorilla": func(t *testing.T, g *gate) caller {
		d := gorilla.Dialer{EnableCompression: true}
		c, res, err := d.DialContext(t.Context(), "ws://"+g.addr+"/chat", http.Header{"Authorization": {"Bearer alice-word"}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		t.Cleanup(func() { c.Close() })
		pings, texts := new(atomic.Int64), make(chan string, 1)
		answer := c.PingHandler()
		c.SetPingHandler(func(payload string) error {
			pings.Add(1)
			return answer(payload)
		})
		go func() {
			defer close(texts)
			for {
				_, text, err := c.ReadMessage()
				if err != nil {
					return
				}
				texts <- string(text)
			}
		}()
		return caller{func(text string) error { return c.WriteMessage(gorilla.TextMessage, []byte(text)) }, pings, texts}
	},
	"coder": func(t *testing.T, g *gate) caller {
		pings, texts := new(atomic.Int64), make(chan string, 1)
		c, res, err := websocket.Dial(t.Context(), "ws://"+g.addr+"/chat", &websocket.DialOptions{
			HTTPHeader:      http.Header{"Authorization": {"Bearer alice-word"}},
			CompressionMode: websocket.CompressionContextTakeover,
			OnPingReceived: func(context.Context, []byte) bool {
				pings.Add(1)
				return true
			},
		})
		if err != nil {
			t.Fatal(err)
		}
		if res.Body != nil {
			res.Body.Close()
		}
		t.Cleanup(func() { c.CloseNow() })
		go func() {
			defer close(texts)
			for {
				_, text, err := c.Read(context.Background())
				if err != nil {
					return
				}
				texts <- string(text)
			}
		}()
		return caller{func(text string) error { return c.Write(t.Context(), websocket.MessageText, []byte(text)) }, pings, texts}
	},
}

// Libraries on both sides: clients answer the gateway without knowing it, and
// servers do not see that they do.
func TestPingLibraries(t *testing.T) {
	for server, h := range echoes {
		for client, call := range callers {
			t.Run(server+" server, "+client+" client", func(t *testing.T) {
				t.Parallel()
				c := call(t, front(t, h, pinging(time.Second)))
				for i := range 2 {
					want := strings.Repeat(fmt.Sprint("message ", i), 100*i+1)
					if err := c.say(want); err != nil {
						t.Fatal(err)
					}
					if got := <-c.texts; got != want {
						t.Fatalf("got %d bytes back, want %d", len(got), len(want))
					}
					before := c.pings.Load()
					eventually(t, func() bool { return c.pings.Load() >= before+2 })
				}
			})
		}
	}
}

// A server that has Pings of its own gets the answers to them all, and no
// others.
func TestPingBesideServer(t *testing.T) {
	for client, call := range callers {
		t.Run(client, func(t *testing.T) {
			t.Parallel()
			const rounds, every = 5, time.Second
			strange, answers := make(chan string, 1), make(chan uint64, rounds)
			h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				c, err := (&gorilla.Upgrader{}).Upgrade(w, r, nil)
				if err != nil {
					return
				}
				defer c.Close()
				c.SetPongHandler(func(payload string) error {
					if len(payload) != 16 || payload[:8] != "upstream" {
						strange <- payload
						return nil
					}
					answers <- binary.BigEndian.Uint64([]byte(payload[8:]))
					return nil
				})
				go func() {
					for i := range uint64(rounds) {
						payload := binary.BigEndian.AppendUint64([]byte("upstream"), i)
						if c.WriteControl(gorilla.PingMessage, payload, time.Now().Add(patience)) != nil {
							return
						}
						time.Sleep(every + 5*time.Millisecond) // Just after the gateway's.
					}
				}()
				for {
					if _, _, err := c.ReadMessage(); err != nil {
						return
					}
				}
			})
			c := call(t, front(t, h, pinging(every)))
			for want := range uint64(rounds) {
				select {
				case got := <-answers:
					if got != want {
						t.Fatalf("got the answer to %d, want to %d", got, want)
					}
				case payload := <-strange:
					t.Fatalf("the server got the Pong %q, which answers none of its Pings", payload)
				case <-time.After(patience):
					t.Fatal("the server got no answer")
				}
			}
			if c.pings.Load() <= rounds {
				t.Error("the gateway never asked")
			}
		})
	}
}

// A Pong byte by byte between two fragments, in front of a backend that writes
// down every byte.
func TestPingBytewise(t *testing.T) {
	t.Parallel()
	const every = time.Second // In which the answer must come.
	b, list := seats(t)
	g := open(t, target(t, "ws://"+b.addr), pinging(every))
	p, _ := connect(t, g.addr, "/chat")
	s := <-list
	handshake := len(b.text())
	go func() { _, _ = io.Copy(io.Discard, s) }()
	var want []byte
	for i := range 6 {
		f := p.receive()
		if f.Header.OpCode != ws.OpPing {
			t.Fatalf("got frame %v, want a Ping", f.Header)
		}
		own := ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame([]byte("the client's own"))))
		part := ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpContinuation, false, []byte("part"))))
		if i == 0 {
			part = ws.MustCompileFrame(ws.MaskFrame(ws.NewFrame(ws.OpText, false, []byte("part"))))
		}
		write(p, string(bytes.Join([][]byte{own, ws.MustCompileFrame(ws.MaskFrame(ws.NewPongFrame(f.Payload))), part}, nil)), true)
		want = append(append(want, own...), part...)
	}
	eventually(t, func() bool { return len(b.text()) >= handshake+len(want) })
	p.receive() // One more Ping: there was time for more to come.
	if got := b.text()[handshake:]; got != string(want) {
		t.Errorf("the backend got\n%x, want\n%x", got, want)
	}
	p.Close()
	s.Close()
}

// A peer that is dead is found, and the upstream is told, whatever is under way.
func TestPingDeadPeer(t *testing.T) {
	const (
		every = 300 * time.Millisecond
		slack = patience / 2 // For a busy machine: what is not found stays for good.
	)
	big := ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 64<<20)))
	for _, tt := range []struct {
		name   string
		client []byte // What it says at first.
		server []byte // What it does not read.
		flood  bool
		secure bool
		ends   bool // The test waits until the tunnel is over, too.
	}{
		{name: "silent", ends: true},
		{name: "silent, over TLS", secure: true},
		{name: "silent after a message", client: ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("hello"))))},
		{name: "in the middle of a large frame", server: big, ends: true},
		{name: "in the middle of a large frame, over TLS", server: big, secure: true},
		{name: "between small frames", flood: true},
		{name: "after the upstream's Close", server: ws.MustCompileFrame(ws.NewCloseFrame([]byte(goingAway)))},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b, list := seats(t)
			g := open(t, target(t, "ws://"+b.addr), pinging(every))
			addr := g.addr
			if tt.secure {
				addr = terminate(t, g)
			}
			p := dialTLS(t, addr, tt.secure)
			begun := time.Now() // The tunnel begins a little later.
			p.say(upgrade("/chat", bearer))
			p.answer()
			s := <-list
			defer s.Close()
			p.say(string(tt.client))
			go flood(s, tt.server, tt.flood)
			seen, err := io.ReadAll(io.LimitReader(s, int64(len(tt.client)+8)))
			if took := time.Since(begun); took < 2*every || took > 2*every+slack {
				t.Errorf("the upstream was told after %v, want %v", took, 2*every)
			}
			if err != nil || len(seen) != len(tt.client)+8 || seen[len(tt.client)] != 0x88 {
				t.Errorf("the upstream got %x, %v, want Close", seen, err)
			}
			s.Close()
			if !tt.ends {
				p.Close()
				return
			}
			p.gone()
			g.settle(t)
			if took := time.Since(begun); took > 2*every+3*time.Second+slack {
				t.Errorf("the tunnel was over after %v, want %v and 3 s at most", took, 2*every)
			}
		})
	}
}

// flood writes b, or small frames until it fails.
func flood(c net.Conn, b []byte, forever bool) {
	_, err := c.Write(b)
	small := bytes.Repeat(ws.MustCompileFrame(ws.NewTextFrame(make([]byte, 100))), 10)
	for forever && err == nil {
		_, err = c.Write(small)
	}
}
