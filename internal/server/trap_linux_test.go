package server_test

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// A trap is a backend that keeps all that comes, by connection. It answers one
// request on each: a handshake with 101, and then it listens until a Close.
type trap struct {
	net.Listener
	answer func(head string) string // Instead of its own, if it is not nil.

	wait sync.WaitGroup
	mu   sync.Mutex
	n    int               // Connections that there were.
	open map[net.Conn]bool // Those that there are.
	got  []string          // On those that have ended.
}

func newTrap(t testing.TB, answer func(head string) string) *trap {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &trap{Listener: l, answer: answer, open: make(map[net.Conn]bool)}
	b.wait.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b.mu.Lock()
			b.n++
			b.open[c] = true
			b.mu.Unlock()
			b.wait.Go(func() { b.serve(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		b.mu.Lock()
		for c := range b.open {
			c.Close()
		}
		b.mu.Unlock()
		b.wait.Wait()
	})
	return b
}

func (b *trap) serve(c net.Conn) {
	var got strings.Builder
	defer func() {
		c.Close()
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, c)
		b.got = append(b.got, got.String())
	}()
	rd, head := bufio.NewReader(c), ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := rd.ReadString('\n')
		got.WriteString(line)
		if err != nil {
			return
		}
		head += line
	}
	answer := b.answer
	if answer == nil {
		answer = switched
	}
	text := answer(head)
	if _, err := io.WriteString(c, text); err != nil || !strings.HasPrefix(text, "HTTP/1.1 101") {
		return
	}
	buf := make([]byte, 4096)
	for !closes(got.String()) {
		n, err := rd.Read(buf)
		got.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

// closes reports whether text ends in a Close frame, as a client of a backend sends
// it.
func closes(text string) bool {
	at := len(text) - 8
	return at >= 0 && text[at:at+2] == "\x88\x82"
}

// switched is a good answer to a handshake, or one to a plain request.
func switched(head string) string {
	_, rest, ok := strings.Cut(head, "\r\nSec-WebSocket-Key: ")
	if !ok {
		return "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 5\r\nContent-Type: text/plain\r\n\r\nplain"
	}
	key, _, _ := strings.Cut(rest, "\r\n")
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// came is how many connections there were.
func (b *trap) came() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.n
}

// took returns what came on each connection since the last call, once all of them
// have ended.
func (b *trap) took(t testing.TB) []string {
	t.Helper()
	var got []string
	soon(t, "the end of the connections to the backend", func() bool {
		b.mu.Lock()
		defer b.mu.Unlock()
		if len(b.open) > 0 {
			return false
		}
		got, b.got = b.got, nil
		return true
	})
	slices.Sort(got)
	return got
}

// soon waits for what should come at once.
func soon(t testing.TB, what string, is func() bool) {
	t.Helper()
	for late := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("waited %v for %s", patience, what)
		}
	}
}

// leavesNothing counts goroutines and open files. What it returns fails the test if
// there are more of them then, and stay.
func leavesNothing(t testing.TB) (soFar func()) {
	t.Helper()
	goroutines, files := runtime.NumGoroutine(), openFiles(t)
	soFar = func() {
		t.Helper()
		for late := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
			g, f := runtime.NumGoroutine(), openFiles(t)
			// A crew of up to 64 waits for more to do until the server ends.
			if g <= goroutines+64 && f <= files {
				return
			}
			if time.Now().After(late) {
				stacks := make([]byte, 1<<20)
				t.Fatalf("got %d goroutines and %d open files, want %d and %d as before:\n%s",
					g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
			}
		}
	}
	return soFar
}

// openFiles is how many files this process has open: sockets for the most part.
func openFiles(t testing.TB) int {
	t.Helper()
	names, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(names)
}

// trapped is a gateway with one route to b.
func trapped(t testing.TB, b *trap, more string) *gateway {
	t.Helper()
	return start(t, front+fmt.Sprintf(`routes:
  - path: /chat/{rest...}
    upstream: "ws://%s/up"
    identity: {headers: {X-User-Id: sub}}
    carriers: [bearer: {verify: [local]}]
%s`, b.Addr(), more))
}

// connect opens a connection to the gateway.
func connect(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

// reset ends a connection as one does that is gone.
func reset(c *net.TCPConn) {
	_ = c.SetLinger(0)
	c.Close()
}

// say writes text.
func say(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}
