package usher_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// A memoryConn is a client in memory: it has said what it had to say, and does
// not answer.
type memoryConn struct{ in io.Reader }

func (c *memoryConn) Read(p []byte) (int, error)       { return c.in.Read(p) }
func (c *memoryConn) Write(p []byte) (int, error)      { return len(p), nil }
func (c *memoryConn) Close() error                     { return nil }
func (c *memoryConn) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *memoryConn) SetDeadline(time.Time) error      { return nil }
func (c *memoryConn) SetReadDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetWriteDeadline(time.Time) error { return nil }

// A memoryWriter is a ResponseWriter whose connection is a memoryConn.
type memoryWriter struct {
	header http.Header
	conn   memoryConn
	buf    *bufio.ReadWriter
}

func (w *memoryWriter) Header() http.Header         { return w.header }
func (w *memoryWriter) Write(p []byte) (int, error) { return len(p), nil }
func (w *memoryWriter) WriteHeader(int)             {}
func (w *memoryWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return &w.conn, w.buf, nil
}

// accept is the least that a handler does with a WebSocket: it answers the
// handshake, and closes.
func accept(w http.ResponseWriter, r *http.Request) error {
	c, _, _, err := ws.UpgradeHTTP(r, w)
	if err != nil {
		return err
	}
	return c.Close()
}

// BenchmarkHandshake measures what the Guard adds to a handshake, by carrier:
// the difference from "none". The verifier knows its words by heart, so that no
// signature is in the figures, except for "jwt" (HS256). A first message is
// read, judged and cut out; a ticket is opened and spent.
func BenchmarkHandshake(b *testing.B) {
	tickets := &usher.Tickets{}
	jwt := good(nil)
	b64 := base64.RawURLEncoding.EncodeToString([]byte("alice-word"))
	auth := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(authAlice))))
	benchmarks := []struct {
		name    string
		carrier *usher.Carrier
		target  string
		lines   []string
		message []byte
	}{
		{name: "none", target: "/chat"},
		{name: "ticket", carrier: new(usher.Ticket("", tickets))},
		{name: "subprotocol", carrier: new(usher.Subprotocol(known)), target: "/chat", lines: []string{"Sec-WebSocket-Protocol: chat, usher.bearer." + b64}},
		{name: "first_message", carrier: new(usher.FirstMessage(known)), target: "/chat", message: auth},
		{name: "cookie", carrier: new(usher.Cookie("sid", known)), target: "/chat", lines: []string{"Cookie: a=1; sid=alice-word; b=2"}},
		{name: "query", carrier: new(usher.Query("", known)), target: "/chat?access_token=alice-word"},
		{name: "basic", carrier: new(usher.Basic(known)), target: "/chat", lines: []string{basicLine("alice", "alice-word")}},
		{name: "bearer", carrier: new(usher.Bearer(known)), target: "/chat", lines: []string{"Authorization: Bearer alice-word"}},
		{name: "jwt", carrier: new(usher.Bearer(hs256(b))), target: "/chat", lines: []string{"Authorization: Bearer " + jwt}},
	}
	for _, bb := range benchmarks {
		b.Run(bb.name, func(b *testing.B) {
			admitted := 0
			next := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if err := accept(w, r); err != nil {
					b.Fatal(err)
				}
				admitted++
			})
			door := http.Handler(next)
			if bb.carrier != nil {
				g := &usher.Guard{Carriers: []usher.Carrier{*bb.carrier}, Log: quiet()}
				if err := g.Validate(); err != nil {
					b.Fatal(err)
				}
				door = g.Handler(next)
			}
			ring := make([]string, b.N)
			for i := range ring {
				if ring[i] = bb.target; bb.name == "ticket" {
					ring[i] = "/chat?ticket=" + makeTicket(b, tickets, "alice", ownOrigin)
				}
			}
			template := readRequest(b, upgrade("self.test", "/chat", append(bb.lines, "Origin: "+ownOrigin)...))
			w := &memoryWriter{
				header: make(http.Header),
				buf:    bufio.NewReadWriter(bufio.NewReader(http.NoBody), bufio.NewWriter(io.Discard)),
			}
			b.ReportAllocs()
			b.ResetTimer()
			for _, target := range ring {
				r := template.WithContext(context.Background())
				u := *template.URL
				r.URL, r.RequestURI = &u, target
				_, u.RawQuery, _ = strings.Cut(target, "?")
				clear(w.header)
				w.conn.in = bytes.NewReader(bb.message)
				door.ServeHTTP(w, r)
			}
			if admitted != b.N {
				b.Fatalf("got %d admitted of %d", admitted, b.N)
			}
		})
	}
}

func readRequest(b *testing.B, text string) *http.Request {
	b.Helper()
	r, err := http.ReadRequest(bufio.NewReader(strings.NewReader(text)))
	if err != nil {
		b.Fatal(err)
	}
	r.RemoteAddr = "192.0.2.1:1024"
	return r
}

// BenchmarkIdleConnection measures the memory of one idle connection, both of
// its ends, with the Guard and without: heap and stack per connection. The
// clients' ends are the same in all.
func BenchmarkIdleConnection(b *testing.B) {
	handlers := map[string]http.HandlerFunc{
		"bare": func(w http.ResponseWriter, _ *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			defer c.Close()
			io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
			c.Read(make([]byte, 1))
		},
		"gobwas": func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				return
			}
			defer c.Close()
			wsutil.ReadClientData(c)
		},
		"gorilla": func(w http.ResponseWriter, r *http.Request) {
			u := gorilla.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}
			c, err := u.Upgrade(w, r, nil)
			if err != nil {
				return
			}
			defer c.Close()
			c.ReadMessage()
		},
	}
	for _, name := range []string{"bare", "gobwas", "gorilla"} {
		h := handlers[name]
		b.Run(name+"/alone", func(b *testing.B) { measureIdle(b, h) })
		for carrier, c := range map[string]usher.Carrier{"query": usher.Query("", known), "first_message": usher.FirstMessage(known)} {
			g := &usher.Guard{Carriers: []usher.Carrier{c}, Log: quiet()}
			b.Run(name+"/"+carrier, func(b *testing.B) { measureIdle(b, g.Handler(h)) })
		}
	}
}

func measureIdle(b *testing.B, h http.Handler) {
	const n = 1000
	s := serve(b, h)
	auth := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(`{"type":"auth","token":"alice-word","ack":true}`))))
	var per int64
	for b.Loop() {
		before := memoryInUse()
		conns := make([]net.Conn, n)
		for i := range conns {
			c, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", s.addr)
			if err != nil {
				b.Fatal(err)
			}
			conns[i] = c
			io.WriteString(c, upgrade("self.test", "/?access_token=alice-word"))
			if strings.HasSuffix(b.Name(), "first_message") {
				c.Write(auth)
			}
			var answer [12]byte
			if _, err := io.ReadFull(c, answer[:]); err != nil || string(answer[9:]) != "101" {
				b.Fatalf("got answer %q, %v", answer, err)
			}
		}
		per = (memoryInUse() - before) / n
		for _, c := range conns {
			c.Close()
		}
		s.idle(b)
	}
	b.ReportMetric(float64(per), "B/conn")
	b.ReportMetric(0, "ns/op")
}
