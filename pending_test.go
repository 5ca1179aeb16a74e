package usher_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

const authAlice = `{"type":"auth","token":"alice-word"}`

// knock opens a silent socket from a local address, and returns it with the
// status of the answer. It holds no buffers.
func knock(t *testing.T, addr, from string, lines ...string) (net.Conn, int) {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	_ = c.SetDeadline(time.Now().Add(patience))
	if _, err := io.WriteString(c, upgrade("self.test", "/", lines...)); err != nil {
		t.Fatal(err)
	}
	head := make([]byte, len("HTTP/1.1 101"))
	if _, err := io.ReadFull(c, head); err != nil {
		t.Fatalf("read the answer: %v", err)
	}
	status := 0
	if _, err := fmt.Sscanf(string(head), "HTTP/1.1 %d", &status); err != nil {
		t.Fatalf("got answer %q: %v", head, err)
	}
	if status != http.StatusSwitchingProtocols {
		c.Close()
	}
	return c, status
}

// fill knocks n times, 20 times from each address, and counts the statuses.
func fill(t *testing.T, addr string, n int) (held []net.Conn, statuses map[int]int) {
	t.Helper()
	statuses = make(map[int]int)
	for i := range n {
		host := i / 20
		c, status := knock(t, addr, fmt.Sprintf("127.1.%d.%d", host/200, 1+host%200))
		statuses[status]++
		if status == http.StatusSwitchingProtocols {
			held = append(held, c)
		}
	}
	t.Cleanup(func() {
		for _, c := range held {
			c.Close()
		}
	})
	return held, statuses
}

// TestSilentSockets: 5,000 sockets that say nothing take the places there are
// and no more. Whoever waits already stays, and whoever brings its credential
// along needs no place.
func TestSilentSockets(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{
		Carriers: []usher.Carrier{usher.Query("", known), usher.FirstMessage(known)},
		Limits:   usher.Limits{FirstMessage: time.Minute},
	}, h)
	waiting := dial(t, s.addr, "127.0.0.2")
	waiting.say(upgrade("self.test", "/"))
	waiting.status(http.StatusSwitchingProtocols)

	_, statuses := fill(t, s.addr, 5000)
	if statuses[101] != 999 || statuses[503] != 4001 {
		t.Errorf("got statuses %v of 5000 sockets, want 999 of 101 and 4001 of 503", statuses)
	}
	if _, status := knock(t, s.addr, "127.0.0.3"); status != http.StatusServiceUnavailable {
		t.Errorf("got status %d for the newest, want 503", status)
	}
	h.sawNobody(t)
	for _, from := range []string{"127.0.0.3", "127.1.0.1"} { // The second is one of the attackers'.
		p := dial(t, s.addr, from)
		p.say(upgrade("self.test", "/?access_token=alice-word"))
		p.status(http.StatusSwitchingProtocols)
		p.echo("let in beside the flood")
		h.saw(t, "alice")
	}
	waiting.sendFrame(ws.OpText, []byte(authAlice))
	waiting.echo("waited through the flood")
	h.saw(t, "alice")
}

// TestSilentSocketsOfOneAddress: below the bound of all, one address cannot
// keep out another; and places are given back.
func TestSilentSocketsOfOneAddress(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{
		Carriers: []usher.Carrier{usher.FirstMessage(known)},
		Limits:   usher.Limits{FirstMessage: time.Minute, Pending: 50, PendingPerAddress: 5},
	}, h)
	for round := range 3 {
		var held []net.Conn
		for i := range 20 {
			c, status := knock(t, s.addr, "127.0.0.2")
			held = append(held, c)
			want := http.StatusSwitchingProtocols
			if i >= 5 {
				want = http.StatusTooManyRequests
			}
			if status != want {
				t.Fatalf("round %d: socket %d got status %d, want %d", round, i, status, want)
			}
		}
		p := dial(t, s.addr, "127.0.0.3")
		p.say(upgrade("self.test", "/") + string(ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(authAlice))))))
		p.status(http.StatusSwitchingProtocols)
		p.echo("another address")
		h.saw(t, "alice")
		for _, c := range append(held, p) {
			c.Close()
		}
		s.idle(t)
	}
}

// TestPendingAddress: what counts as one client is an IPv4 address or an IPv6
// network of 64 bits, as a trusted proxy says it; nobody else is believed.
func TestPendingAddress(t *testing.T) {
	const proxied, ignored = "127.0.0.0/8", "10.0.0.0/8"
	tests := []struct {
		name, proxies string
		first, second string // X-Forwarded-For.
		one           bool   // The two are one client.
	}{
		{"two addresses", proxied, "192.0.2.1", "192.0.2.2", false},
		{"one address", proxied, "192.0.2.1", "192.0.2.1", true},
		{"one network of IPv6", proxied, "2001:db8:0:1::1", "2001:db8:0:1:ffff::2", true},
		{"two networks of IPv6", proxied, "2001:db8:0:1::1", "2001:db8:0:2::1", false},
		{"IPv4 in IPv6", proxied, "::ffff:192.0.2.1", "192.0.2.1", true},
		{"what stands in front of the client's", proxied, "198.51.100.1, 192.0.2.1", "198.51.100.2, 192.0.2.1", true},
		{"another trusted proxy behind", proxied, "192.0.2.1, 127.0.0.9", "192.0.2.2, 127.0.0.9", false},
		{"no address", proxied, "unknown", "_hidden", true},
		{"of nobody known", ignored, "192.0.2.1", "192.0.2.2", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := guard(t, &usher.Guard{
				Carriers:       []usher.Carrier{usher.FirstMessage(known)},
				TrustedProxies: []netip.Prefix{netip.MustParsePrefix(tt.proxies)},
				Limits:         usher.Limits{PendingPerAddress: 1},
			}, &witness{})
			first, status := knock(t, s.addr, "127.0.0.2", "X-Forwarded-For: "+tt.first)
			defer first.Close()
			if status != http.StatusSwitchingProtocols {
				t.Fatalf("got status %d for the first, want 101", status)
			}
			second, status := knock(t, s.addr, "127.0.0.2", "X-Forwarded-For: "+tt.second)
			defer second.Close()
			if one := status == http.StatusTooManyRequests; one != tt.one {
				t.Errorf("got status %d for the second, want it to be the same client: %t", status, tt.one)
			}
		})
	}
}

// TestRefusedSocketsLinger: a page that was refused and does not answer the
// Close frame takes a place too; when there is none it gets a status.
func TestRefusedSocketsLinger(t *testing.T) {
	h := &witness{}
	s := guard(t, &usher.Guard{
		Carriers: []usher.Carrier{usher.Bearer(known)},
		Limits:   usher.Limits{PendingPerAddress: 5},
	}, h)
	statuses := make(map[int]int)
	var held []net.Conn
	for range 30 {
		c, status := knock(t, s.addr, "127.0.0.2", "Origin: "+ownOrigin)
		statuses[status]++
		held = append(held, c)
	}
	if statuses[101] != 5 || statuses[401] != 25 {
		t.Errorf("got statuses %v, want 5 of 101 and 25 of 401", statuses)
	}
	for _, c := range held {
		c.Close()
	}
	s.idle(t)
	c, status := knock(t, s.addr, "127.0.0.2", "Origin: "+ownOrigin)
	if status != http.StatusSwitchingProtocols {
		t.Errorf("got status %d once the places were free, want 101", status)
	}
	c.Close()
	h.sawNobody(t)
}

// TestPendingMemory bounds what a socket costs that has not said who it is.
func TestPendingMemory(t *testing.T) {
	const n = 1000
	h := &witness{}
	s := guard(t, &usher.Guard{
		Carriers: []usher.Carrier{usher.FirstMessage(known)},
		Limits:   usher.Limits{FirstMessage: time.Minute, Pending: n},
	}, h)
	before := memoryInUse()
	_, statuses := fill(t, s.addr, n)
	if statuses[101] != n {
		t.Fatalf("got statuses %v, want %d of 101", statuses, n)
	}
	per := (memoryInUse() - before) / n
	t.Logf("%d bytes of heap and stack for each pending socket, both ends", per)
	if per > 64<<10 {
		t.Errorf("got %d bytes for each pending socket, want at most 64 KiB", per)
	}
	h.sawNobody(t)
}

func memoryInUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapInuse + m.StackInuse)
}

// A pipeListener hands out the far ends of pipes, so that a whole server runs
// in a bubble of synctest.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newPipeListener() *pipeListener {
	return &pipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "pipe"} }

func (l *pipeListener) dial() net.Conn {
	near, far := net.Pipe()
	l.conns <- far
	return near
}

// TestFirstMessageDeadline: ten seconds after the handshake it is over, however
// busy the client was.
func TestFirstMessageDeadline(t *testing.T) {
	frame := func(f ws.Frame) string {
		return string(ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4})))
	}
	auth := frame(ws.NewTextFrame([]byte(authAlice)))
	tests := map[string][]string{ // What is sent, a piece a second.
		"nothing":            nil,
		"one byte a second":  strings.Split(auth, ""),
		"a ping a second":    slices.Repeat([]string{frame(ws.NewPingFrame([]byte("x")))}, 15),
		"a pong a second":    slices.Repeat([]string{frame(ws.NewPongFrame(nil))}, 15),
		"half a frame head":  {auth[:1]},
		"a head and no body": {auth[:6]},
		"all but one byte":   {auth[:len(auth)-1]},
		"half a ping":        {frame(ws.NewPingFrame([]byte("xyz")))[:7]},
	}
	for name, pieces := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { tryDeadline(t, pieces) })
		})
	}
}

func tryDeadline(t *testing.T, pieces []string) {
	h := &witness{}
	l := newPipeListener()
	g := &usher.Guard{Carriers: []usher.Carrier{usher.FirstMessage(known)}, Log: quiet()}
	srv := &http.Server{Handler: g.Handler(h)}
	var running sync.WaitGroup
	running.Go(func() { _ = srv.Serve(l) })
	defer running.Wait()
	defer srv.Close()

	c := l.dial()
	defer c.Close()
	began := time.Now()
	if _, err := io.WriteString(c, upgrade("self.test", "/")); err != nil {
		t.Fatal(err)
	}
	rd := bufio.NewReader(c)
	res, err := http.ReadResponse(rd, nil)
	if err != nil || res.StatusCode != http.StatusSwitchingProtocols {
		t.Fatalf("got answer %v, %v, want 101", res, err)
	}
	running.Go(func() {
		for _, piece := range pieces {
			if _, err := io.WriteString(c, piece); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	})
	for {
		f, err := ws.ReadFrame(rd)
		if err != nil {
			t.Fatalf("after %v: %v, want a Close frame", time.Since(began), err)
		}
		if f.Header.OpCode == ws.OpPong {
			continue
		}
		code, reason := ws.ParseCloseFrameData(f.Payload)
		if f.Header.OpCode != ws.OpClose || code != usher.CloseAuthTimeout || !strings.HasPrefix(reason, "auth_timeout ") {
			t.Errorf("got frame %v %d %q, want Close 4408", f.Header.OpCode, code, reason)
		}
		break
	}
	if took := time.Since(began); took != 10*time.Second {
		t.Errorf("got the Close after %v, want 10 s", took)
	}
	// The client does not answer, and is cut.
	if _, err := rd.ReadByte(); !errors.Is(err, io.EOF) {
		t.Errorf("got %v after the Close, want EOF", err)
	}
	if took := time.Since(began); took > 13*time.Second {
		t.Errorf("the connection was closed after %v, want at most 13 s", took)
	}
	h.sawNobody(t)
}
