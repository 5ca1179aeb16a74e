package usher_test

import (
	"bufio"
	"bytes"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/usher-ws/usher"
)

// with returns a handshake with a good credential in which each line that
// begins with old is replaced by lines.
func with(old string, lines ...string) string {
	text := upgrade("self.test", "/chat", "Authorization: Bearer alice-word")
	head := strings.Split(strings.TrimSuffix(text, "\r\n\r\n"), "\r\n")
	var out []string
	found := false
	for _, line := range head {
		if !strings.HasPrefix(line, old) {
			out = append(out, line)
			continue
		}
		found = true
		out = append(out, lines...)
	}
	if !found {
		out = append(out, lines...)
	}
	return strings.Join(out, "\r\n") + "\r\n\r\n"
}

// A badHandshake is one that is neither a WebSocket handshake nor a plain
// request, with a credential that would be good.
type badHandshake struct {
	name, text string
	status     int
	header     [2]string // Of the answer, where one is wanted.
}

const added = "\x00" // Begins no line: with appends.

func badHandshakes() []badHandshake {
	get := "GET /chat HTTP/1.1"
	version := [2]string{"Sec-Websocket-Version", "13"}
	allow := [2]string{"Allow", "GET"}
	none := [2]string{}
	return []badHandshake{
		{"version 8", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 8"), 426, version},
		{"version missing", with("Sec-WebSocket-Version"), 426, version},
		{"version empty", with("Sec-WebSocket-Version", "Sec-WebSocket-Version:"), 426, version},
		{"version list", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13, 8"), 426, version},
		{"version twice", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 426, version},
		{"version with a zero", with("Sec-WebSocket-Version", "Sec-WebSocket-Version: 013"), 426, version},
		{"key missing", with("Sec-WebSocket-Key"), 400, none},
		{"key empty", with("Sec-WebSocket-Key", "Sec-WebSocket-Key:"), 400, none},
		{"key of 15 bytes", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0O"), 400, none},
		{"key of 17 bytes", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODxA="), 400, none},
		{"key of 24 letters that are no base64", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: !!!!!!!!!!!!!!!!!!!!!!=="), 400, none},
		{"key twice", with("Sec-WebSocket-Key", "Sec-WebSocket-Key: "+testKey, "Sec-WebSocket-Key: "+testKey), 400, none},
		{"POST", with(get, "POST /chat HTTP/1.1"), 405, allow},
		{"POST with length", with(get, "POST /chat HTTP/1.1", "Content-Length: 0"), 405, allow},
		{"HEAD", with(get, "HEAD /chat HTTP/1.1"), 405, allow},
		{"PUT", with(get, "PUT /chat HTTP/1.1"), 405, allow},
		{"get in lower case", with(get, "get /chat HTTP/1.1"), 405, allow},
		{"h2c", with("Upgrade", "Upgrade: h2c", "HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA"), 501, none},
		{"h2c first", with("Upgrade", "Upgrade: h2c, websocket"), 501, none},
		{"h2c last", with("Upgrade", "Upgrade: websocket, h2c"), 501, none},
		{"two Upgrade headers", with("Upgrade", "Upgrade: websocket", "Upgrade: h2c"), 501, none},
		{"two Upgrade headers, h2c first", with("Upgrade", "Upgrade: h2c", "Upgrade: websocket"), 501, none},
		{"two Upgrade headers, both websocket", with("Upgrade", "Upgrade: websocket", "Upgrade: websocket"), 501, none},
		{"Upgrade with a version", with("Upgrade", "Upgrade: websocket/13"), 501, none},
		{"Upgrade empty", with("Upgrade", "Upgrade:"), 501, none},
		{"Upgrade missing", with("Upgrade"), 501, none},
		{"Connection missing", with("Connection"), 400, none},
		{"Connection without upgrade", with("Connection", "Connection: keep-alive"), 400, none},
		{"Connection with a longer word", with("Connection", "Connection: upgrade-insecure"), 400, none},
		{"HTTP/1.0", with(get, "GET /chat HTTP/1.0"), 400, none},
		{"a body", with(added, "Content-Length: 5") + "hello", 400, none},
		{"a chunked body", with(added, "Transfer-Encoding: chunked") + "0\r\n\r\n", 400, none},
		{"no host", with("Host", "Host:"), 400, none},
		{"a user in the target", with(get, "GET http://user:pass@self.test/chat HTTP/1.1"), 400, none},
		{"two hosts", with("Host", "Host: self.test", "Host: evil.example"), 400, none},
		{"subprotocol list with a hole", with(added, "Sec-WebSocket-Protocol: chat,,x"), 400, none},
		{"subprotocol that is no token", with(added, "Sec-WebSocket-Protocol: chat, a/b"), 400, none},
		{"subprotocol empty", with(added, "Sec-WebSocket-Protocol:"), 400, none},
	}
}

func TestBadHandshakes(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known), usher.FirstMessage(known)}}, h)
	for _, tt := range badHandshakes() {
		t.Run(tt.name, func(t *testing.T) {
			res, body := exchange(t, s.addr, tt.text)
			if res.StatusCode != tt.status {
				t.Errorf("got status %d %q, want %d", res.StatusCode, body, tt.status)
			}
			if name := tt.header[0]; name != "" && res.Header.Get(name) != tt.header[1] {
				t.Errorf("got %s %q, want %q", name, res.Header.Get(name), tt.header[1])
			}
			h.sawNobody(t)
		})
	}
}

// TestGoodHandshakes: what is unusual and right is let in, so that the table
// above does not hold by refusing everything.
func TestGoodHandshakes(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}}, h)
	tests := map[string]string{
		"plain":                   with(added),
		"Upgrade in upper case":   with("Upgrade", "Upgrade: WebSocket"),
		"Connection list":         with("Connection", "Connection: keep-alive, Upgrade"),
		"absolute target":         with("GET /chat HTTP/1.1", "GET http://self.test/chat HTTP/1.1"),
		"path of two slashes":     with("GET /chat HTTP/1.1", "GET //evil/ HTTP/1.1"),
		"Content-Length 0":        with(added, "Content-Length: 0"),
		"names in odd cases":      strings.Replace(with(added), "Sec-WebSocket-Key", "sEC-wEBSOCKET-kEY", 1),
		"subprotocols in two":     with(added, "Sec-WebSocket-Protocol: chat", "Sec-WebSocket-Protocol: other"),
		"early bytes of a client": with(added) + string([]byte{0x89, 0x80, 0, 0, 0, 0}),
	}
	for name, text := range tests {
		t.Run(name, func(t *testing.T) {
			p := dial(t, s.addr, "")
			p.say(text)
			p.status(http.StatusSwitchingProtocols)
			h.saw(t, "alice")
		})
	}
}

// A trap is a backend that answers 101 to anything and remembers each byte that
// it gets: whoever opens a tunnel to it can send it requests of his own.
type trap struct {
	net.Listener
	conns sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	heard bytes.Buffer
	live  []net.Conn
}

func newTrap(t *testing.T) *trap {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &trap{Listener: l}
	b.conns.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.live = append(b.live, c)
			b.mu.Unlock()
			b.conns.Go(func() { b.talk(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for _, c := range b.live {
			c.Close()
		}
		b.mu.Unlock()
		b.conns.Wait()
	})
	return b
}

func (b *trap) talk(c net.Conn) {
	defer c.Close()
	rd := bufio.NewReader(c)
	answered := false
	for {
		line, err := rd.ReadString('\n')
		b.mu.Lock()
		b.heard.WriteString(line)
		b.mu.Unlock()
		if err != nil {
			return
		}
		if line == "\r\n" && !answered {
			answered = true
			c.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n"))
		}
	}
}

// takeHeard returns what the trap has heard, and forgets it.
func (b *trap) takeHeard() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	text := b.heard.String()
	b.heard.Reset()
	return text
}

// TestSmuggling: behind a ReverseProxy is a backend that answers 101 to
// anything. No request but a real handshake opens a tunnel to it, so that no
// second request, which nobody has judged, can follow the first.
func TestSmuggling(t *testing.T) {
	back := newTrap(t)
	target := &url.URL{Scheme: "http", Host: back.Addr().String()}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	transport := &http.Transport{}
	proxy.Transport = transport
	t.Cleanup(transport.CloseIdleConnections)
	s := guard(t, &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}}, proxy)
	proxy.ErrorLog = s.Config.ErrorLog
	const second = "GET /internal HTTP/1.1\r\nHost: self.test\r\nX-User-Id: root\r\n\r\n"

	for _, tt := range badHandshakes() {
		t.Run(tt.name, func(t *testing.T) {
			p := dial(t, s.addr, "")
			p.say(tt.text + second)
			if res, body := p.answer(); res.StatusCode != tt.status {
				t.Errorf("got status %d %q, want %d", res.StatusCode, body, tt.status)
			}
			drain(p)
			if got := back.takeHeard(); got != "" {
				t.Errorf("the backend got %q, want nothing", got)
			}
		})
	}
	for _, method := range []string{"GET", "POST", "PUT", "DELETE"} {
		t.Run("plain "+method, func(t *testing.T) {
			p := dial(t, s.addr, "")
			p.say(request(method, "self.test", "/", "Authorization: Bearer alice-word", "Content-Length: 0") + second)
			if res, body := p.answer(); res.StatusCode != http.StatusBadGateway {
				t.Errorf("got status %d %q, want 502", res.StatusCode, body)
			}
			drain(p)
			got := back.takeHeard()
			if !strings.HasPrefix(got, method+" / ") {
				t.Errorf("the backend got %q, want the %s", got, method)
			}
			if strings.Contains(got, "internal") || strings.Contains(got, "root") {
				t.Errorf("the backend got the second request: %q", got)
			}
		})
	}
}

// drain says that no more comes, and reads to the end, so that all that was
// sent has been dealt with.
func drain(p *peer) {
	if c, ok := p.Conn.(*net.TCPConn); ok {
		c.CloseWrite()
	}
	for {
		if _, err := p.rd.ReadByte(); err != nil {
			return
		}
	}
}
