package gateway_test

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

func acceptFor(head string) string {
	sum := sha1.Sum([]byte(line(head, "Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// echoes are backends as users write them, each with another library. They
// select the subprotocol chat, and send back each message.
var echoes = map[string]http.Handler{
	"gorilla": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		up := gorilla.Upgrader{Subprotocols: []string{"chat"}, CheckOrigin: func(*http.Request) bool { return true }, EnableCompression: true}
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			op, message, err := c.ReadMessage()
			if err != nil || c.WriteMessage(op, message) != nil {
				return
			}
		}
	}),
	"coder": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{"chat"}, InsecureSkipVerify: true, CompressionMode: websocket.CompressionContextTakeover})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(-1)
		for {
			op, message, err := c.Read(r.Context())
			if err != nil || c.Write(r.Context(), op, message) != nil {
				return
			}
		}
	}),
	"gobwas": http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, _, _, err := ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "chat" }}.Upgrade(r, w)
		if err != nil {
			return
		}
		defer c.Close()
		for {
			message, op, err := wsutil.ReadClientData(c)
			if err != nil || wsutil.WriteServerMessage(c, op, message) != nil {
				return
			}
		}
	}),
}

func TestTunnelLibraries(t *testing.T) {
	for name, h := range echoes {
		t.Run(name, func(t *testing.T) {
			g := front(t, h)
			p, res := connect(t, g.addr, "/chat", "Sec-WebSocket-Protocol: soap, chat")
			if got := res.Header.Get("Sec-WebSocket-Protocol"); got != "chat" {
				t.Errorf("got subprotocol %q, want chat", got)
			}
			p.echo("hello")
			p.echo(strings.Repeat("x", 70_000))
			// One message in three fragments, a ping between them.
			p.send(ws.NewFrame(ws.OpText, false, []byte("a")))
			p.send(ws.NewFrame(ws.OpContinuation, false, []byte("b")))
			p.send(ws.NewPingFrame([]byte("?")))
			p.send(ws.NewFrame(ws.OpContinuation, true, []byte("c")))
			var text string
			for text != "abc" {
				f := p.receive()
				switch f.Header.OpCode {
				case ws.OpText, ws.OpContinuation:
					text += string(f.Payload)
				case ws.OpPong:
					if string(f.Payload) != "?" {
						t.Errorf("got pong %q, want ?", f.Payload)
					}
				default:
					t.Fatalf("got frame %v, want the message", f.Header)
				}
				if len(text) > 3 {
					t.Fatalf("got %q, want abc", text)
				}
			}
			p.send(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "bye")))
			if f := p.receive(); f.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(f.Payload) != 1000 {
				t.Errorf("got frame %v %q, want Close 1000", f.Header.OpCode, f.Payload)
			}
			before := time.Now()
			p.gone()
			if took := time.Since(before); took > 2500*time.Millisecond {
				t.Errorf("the connection ended after %v, want at once and not after 3 s", took)
			}
		})
	}
}

func TestTunnelBytewise(t *testing.T) {
	g := front(t, echoes["gorilla"])
	p, _ := connect(t, g.addr, "/chat")
	for _, size := range []int{0, 5, 126, 300} {
		message := strings.Repeat("m", size)
		frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(message))))
		for i := range frame {
			if _, err := p.Write(frame[i : i+1]); err != nil {
				t.Fatal(err)
			}
		}
		if f := p.receive(); string(f.Payload) != message {
			t.Errorf("got %q, want %d bytes", f.Payload, size)
		}
	}
}

// Each side sends numbers, the other must see all of them in order.
func TestTunnelOrder(t *testing.T) {
	const count = 100_000
	counted := make(chan error, 1)
	g := front(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := (&gorilla.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			counted <- err
			return
		}
		defer c.Close()
		go func() {
			var n [8]byte
			for i := range uint64(count) {
				binary.BigEndian.PutUint64(n[:], i)
				if c.WriteMessage(gorilla.BinaryMessage, n[:]) != nil {
					return
				}
			}
		}()
		for i := range uint64(count) {
			_, message, err := c.ReadMessage()
			if err == nil && binary.BigEndian.Uint64(message) != i {
				err = fmt.Errorf("got %x, want %d", message, i)
			}
			if err != nil {
				counted <- err
				return
			}
		}
		counted <- nil
		_, _, _ = c.ReadMessage()
	}))
	p, _ := connect(t, g.addr, "/chat")
	_ = p.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		w := bufio.NewWriter(p)
		var n [8]byte
		for i := range uint64(count) {
			binary.BigEndian.PutUint64(n[:], i)
			if ws.WriteFrame(w, ws.MaskFrame(ws.NewBinaryFrame(n[:]))) != nil {
				return
			}
		}
		_ = w.Flush()
	}()
	for i := range uint64(count) {
		f := p.receive()
		if got := binary.BigEndian.Uint64(f.Payload); got != i {
			t.Fatalf("client got %d, want %d", got, i)
		}
	}
	if err := <-counted; err != nil {
		t.Errorf("backend: %v", err)
	}
}

// What is sent before the handshake is over, by either side, is not lost.
func TestTunnelEarlyBytes(t *testing.T) {
	b := raw(t, func(c net.Conn, head string) {
		hello := ws.MustCompileFrame(ws.NewTextFrame([]byte("early")))
		_, _ = io.WriteString(c, switched(head)+string(hello))
		for {
			f, err := ws.ReadFrame(c)
			if err != nil {
				return
			}
			f = ws.UnmaskFrame(f)
			f.Header.Masked = false
			if ws.WriteFrame(c, f) != nil || f.Header.OpCode == ws.OpClose {
				return
			}
		}
	})
	g := open(t, target(t, "ws://"+b.addr))
	p := dial(t, g.addr)
	first := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("first"))))
	second := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("second"))))
	p.say(upgrade("/chat", bearer) + string(first) + string(second))
	p.answer()
	for _, want := range []string{"early", "first", "second"} {
		if f := p.receive(); string(f.Payload) != want {
			t.Errorf("got %q, want %q", f.Payload, want)
		}
	}
}

func TestTunnelCloseCodes(t *testing.T) {
	for _, code := range []ws.StatusCode{1000, 1001, 1003, 1008, 1009, 1011, 3000, 4000, 4401, 4999} {
		t.Run(fmt.Sprint(code), func(t *testing.T) {
			body := ws.NewCloseFrameBody(code, "because")
			seen := make(chan string, 1)
			b := raw(t, func(c net.Conn, head string) {
				_, _ = io.WriteString(c, switched(head))
				f, err := ws.ReadFrame(c)
				if err != nil {
					seen <- err.Error()
					return
				}
				_ = ws.WriteFrame(c, ws.NewCloseFrame(body))
				if f.Header.OpCode != ws.OpClose {
					f, _ = ws.ReadFrame(c)
				}
				seen <- string(ws.UnmaskFrame(f).Payload)
			})
			g := open(t, target(t, "ws://"+b.addr))
			p, _ := connect(t, g.addr, "/chat")
			p.send(ws.NewCloseFrame(body))
			if got := <-seen; got != string(body) {
				t.Errorf("backend got %q, want %q", got, body)
			}
			if f := p.receive(); !bytes.Equal(f.Payload, body) {
				t.Errorf("client got %q, want %q", f.Payload, body)
			}
			p.gone()

			p, _ = connect(t, g.addr, "/chat")
			p.send(ws.NewTextFrame([]byte("go")))
			if got := p.closed(int(code)); got != "because" {
				t.Errorf("client got reason %q, want because", got)
			}
			if got := <-seen; got != string(body[:2]) {
				t.Errorf("backend got the answer %q, want %q", got, body[:2])
			}
		})
	}
}
