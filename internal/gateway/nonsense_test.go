package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// Whatever an upstream answers that is no WebSocket handshake, nothing is
// tunneled to it: a client gets 502, and a page a Close that it can read.
func TestAnswersRefused(t *testing.T) {
	const begin = "HTTP/1.1 101 Switching Protocols\r\n"
	all := []string{"Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: ACCEPT"}
	without := func(i int, lines ...string) string {
		kept := append(append([]string{}, all[:i]...), all[i+1:]...)
		return begin + strings.Join(append(kept, lines...), "\r\n") + "\r\n\r\n"
	}
	with := func(lines ...string) string {
		return begin + strings.Join(append(append([]string{}, all...), lines...), "\r\n") + "\r\n\r\n"
	}
	tests := []struct {
		name, answer string
		code         int // For a page; 0 is 4503.
	}{
		{"no accept", without(2), 0},
		{"accept of another key", without(2, "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="), 0},
		{"accept with a space in it", without(2, "Sec-WebSocket-Accept: ACCEPT x"), 0},
		{"two accepts", with("Sec-WebSocket-Accept: ACCEPT"), 0},
		{"no upgrade", without(0), 0},
		{"upgrade to h2c", without(0, "Upgrade: h2c"), 0},
		{"two upgrades", with("Upgrade: h2c"), 0},
		{"no connection", without(1), 0},
		{"connection keep-alive", without(1, "Connection: keep-alive"), 0},
		{"extension not offered", with("Sec-WebSocket-Extensions: permessage-bzip2"), 0},
		{"extension offered, and another", with("Sec-WebSocket-Extensions: permessage-deflate, foo"), 0},
		{"extension twice", with("Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"), 0},
		{"subprotocol not offered", with("Sec-WebSocket-Protocol: soap"), 0},
		{"subprotocol in another case", with("Sec-WebSocket-Protocol: CHAT"), 0},
		{"two subprotocols", with("Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: chat.v2"), 0},
		{"all that were offered", with("Sec-WebSocket-Protocol: chat, chat.v2"), 0},
		{"empty subprotocol", with("Sec-WebSocket-Protocol:"), 0},
		{"content-length", with("Content-Length: 5") + "hello", 0},
		{"content-length 0", with("Content-Length: 0"), 0},
		{"chunked", with("Transfer-Encoding: chunked") + "5\r\nhello\r\n0\r\n\r\n", 0},
		{"HTTP/1.0", strings.Replace(with(), "HTTP/1.1", "HTTP/1.0", 1), 0},
		{"HTTP/2.0", strings.Replace(with(), "HTTP/1.1", "HTTP/2.0", 1), 0},
		{"garbage", "\x00\x01\x02\xff garbage\r\n\r\n", 0},
		{"SSH", "SSH-2.0-OpenSSH_9.2\r\n\r\n", 0},
		{"frames at once", "\x81\x05hello", 0},
		{"nothing", "", 0},
		{"half a head", begin + "Upgrade: web", 0},
		{"no colon", with("Nonsense"), 0},
		{"interim answers only", strings.Repeat("HTTP/1.1 103 Early Hints\r\n\r\n", 6), 0},
		{"200", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi", 0},
		{"200 with all headers", strings.Replace(with(), "101 Switching Protocols", "200 OK", 1), 0},
		{"302", "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", 0},
		{"401", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\nContent-Length: 0\r\n\r\n", usher.CloseForbidden},
		{"403", "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", usher.CloseForbidden},
		{"404", "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", usher.CloseForbidden},
		{"429", "HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\n\r\n", usher.CloseTooMany},
		{"500", "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 0\r\n\r\n", 0},
	}
	before := descriptors(t)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			code := tt.code
			if code == 0 {
				code = usher.CloseUnavailable
			}
			// It pretends to listen on, so that a tunnel would show.
			b := raw(t, func(c net.Conn, head string) {
				_, _ = io.WriteString(c, strings.ReplaceAll(tt.answer, "ACCEPT", acceptFor(head)))
				if tcp, ok := c.(*bufferedConn).Conn.(*net.TCPConn); ok {
					_ = tcp.CloseWrite()
				}
				_, _ = io.Copy(io.Discard, c)
			})
			refusedAnswer(t, b, code)
		})
	}
	if after := descriptors(t); after > before {
		t.Errorf("got %d file descriptors, want the %d from before", after, before)
	}
}

// refusedAnswer connects as a program and as a page, with a second request
// behind the handshake, and looks that nothing of that reaches the backend.
func refusedAnswer(t *testing.T, b *rawBackend, code int, settings ...setting) {
	t.Helper()
	g := open(t, target(t, "ws://"+b.addr), settings...)
	offer := []string{"Sec-WebSocket-Protocol: chat, chat.v2", "Sec-WebSocket-Extensions: permessage-deflate", bearer}
	p := dial(t, g.addr)
	p.say(upgrade("/chat", offer...) + "GET /internal HTTP/1.1\r\nHost: gate.example\r\nX-User: root\r\n\r\n")
	res := p.answer()
	if res.StatusCode != http.StatusBadGateway {
		t.Errorf("got status %d, want 502", res.StatusCode)
	}
	for _, name := range []string{"Location", "Sec-WebSocket-Accept", "WWW-Authenticate"} {
		if got := res.Header.Get(name); got != "" {
			t.Errorf("got %s: %q, want none", name, got)
		}
	}
	p.Close()

	p = dial(t, g.addr)
	p.say(upgrade("/chat", append(offer, "Origin: https://app.example.com")...))
	if res := p.answer(); res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got status %d, want 101 and a Close", res.StatusCode)
	}
	p.closed(code)
	g.settle(t)
	if got := b.text(); strings.Contains(got, "/internal") || strings.Count(got, "\r\n\r\n") != 2 {
		t.Errorf("the backend got more than two handshakes:\n%s", got)
	}
}

// descriptors counts this process's open files.
func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// An answer that does not end has an end: in bytes, and in time.
func TestAnswersBounded(t *testing.T) {
	quick := func(rt *gateway.Route, _ *usher.Guard) { rt.HandshakeTimeout = 300 * time.Millisecond }
	forever := func(begin, piece string, pause time.Duration) func(net.Conn, string) {
		return func(c net.Conn, _ string) {
			_, err := io.WriteString(c, begin)
			for i := 0; err == nil; i++ {
				time.Sleep(pause)
				_, err = fmt.Fprintf(c, piece, i)
			}
		}
	}
	tests := []struct {
		name  string
		serve func(net.Conn, string)
	}{
		{"endless head", forever("HTTP/1.1 101 Switching Protocols\r\n", "X-%d: y\r\n", 0)},
		{"endless line", forever("HTTP/1.1 101 ", "%d", 0)},
		{"endless interim answers", forever("", "HTTP/1.1 100 Continue\r\nX: %d\r\n\r\n", 0)},
		{"slow head", forever("HTTP/1.1 101 Switching Protocols\r\n", "X-%d: y\r\n", 20*time.Millisecond)},
		{"silence", func(c net.Conn, _ string) { _, _ = io.Copy(io.Discard, c) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Now()
			refusedAnswer(t, raw(t, tt.serve), usher.CloseUnavailable, quick)
			if took := time.Since(begun); took > 8*time.Second {
				t.Errorf("took %v, want the 0.3 s of the route, and not the 10 s of all others", took)
			}
		})
	}
}

// What is correct is not refused for being unusual, and what comes behind it
// passes.
func TestAnswersTaken(t *testing.T) {
	tests := []struct{ name, before, upgrade, line string }{
		{"interim answers first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n", "websocket", "X: y"},
		{"case", "", "WebSocket", "X: y"},
		{"subprotocol", "", "websocket", "Sec-WebSocket-Protocol: chat.v2"},
		{"extension", "", "websocket", "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=10"},
		{"a long head", "", "websocket", "X: " + strings.Repeat("y", 10_000)},
		{"a folded line", "", "websocket", "Y: z\r\n folded\r\nX: y"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			b := raw(t, func(c net.Conn, head string) {
				answer := strings.Replace(switched(head, tt.line), "Upgrade: websocket", "Upgrade: "+tt.upgrade, 1)
				half := len(tt.before+answer) - 30
				_, _ = io.WriteString(c, (tt.before + answer)[:half])
				time.Sleep(time.Millisecond) // Mostly it is then read in two pieces.
				_, _ = io.WriteString(c, (tt.before + answer)[half:]+"\x81\x02hi")
				_, _ = io.Copy(io.Discard, c)
			})
			g := open(t, target(t, "ws://"+b.addr))
			p, res := connect(t, g.addr, "/chat", "Sec-WebSocket-Protocol: chat, chat.v2", "Sec-WebSocket-Extensions: permessage-deflate")
			name, want, _ := strings.Cut(tt.line[strings.LastIndexByte(tt.line, '\n')+1:], ": ")
			if got := res.Header.Get(name); got != want {
				t.Errorf("got %s: %q, want %q", name, got, want)
			}
			if f := p.receive(); string(f.Payload) != "hi" {
				t.Errorf("got the frame %q, want what came behind the answer", f.Payload)
			}
		})
	}
}

// A 101 to a request that is no upgrade is never believed.
func TestSwitchingPlainRequest(t *testing.T) {
	for _, lines := range [][]string{nil, {"Upgrade: websocket", "Connection: Upgrade"}, {"Upgrade: h2c", "Connection: Upgrade"}} {
		for _, method := range []string{"GET", "POST"} {
			t.Run(fmt.Sprint(method, lines), func(t *testing.T) {
				b := raw(t, func(c net.Conn, _ string) {
					_, _ = io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\n"+strings.Join(append(lines, "X: y"), "\r\n")+"\r\n\r\n")
					_, _ = io.Copy(io.Discard, c)
				})
				g := open(t, target(t, "ws://"+b.addr))
				p := dial(t, g.addr)
				p.say(method + " /chat HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 0\r\n" + bearer + "\r\n\r\n" +
					"GET /internal HTTP/1.1\r\nHost: gate.example\r\n\r\n")
				if res := p.answer(); res.StatusCode != http.StatusBadGateway {
					t.Errorf("got status %d, want 502", res.StatusCode)
				}
				if res := p.answer(); res.StatusCode != http.StatusNotFound {
					t.Errorf("got status %d for the second request, want 404", res.StatusCode)
				}
				if got := b.text(); strings.Contains(got, "/internal") {
					t.Errorf("the backend got the second request:\n%s", got)
				}
			})
		}
	}
}
