// Package smuggling tries to get a request past a gateway to the server behind
// it, in the ways that have worked elsewhere: by an upgrade that is none, and by
// headers that are spelled almost like the gateway's own.
//
// Its test holds Usher's gateway to the result; the command beside it shows the
// same for other proxies. It is no part of the program.
package smuggling

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"io"
	"net"
	"strings"
	"sync"
	"time"
)

// patience bounds each connection.
const patience = 3 * time.Second

// A Backend answers any request in the way it is told to, then listens on, and
// keeps all that it gets. It is what an attacker has who can make a server
// answer 101.
type Backend struct {
	listener net.Listener
	wait     sync.WaitGroup

	mu     sync.Mutex
	answer func(head string) string
	got    bytes.Buffer
	open   map[net.Conn]struct{} // Nil once it is closed.
}

// NewBackend starts one on a loopback address.
func NewBackend() (*Backend, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	b := &Backend{listener: l, open: make(map[net.Conn]struct{})}
	b.wait.Add(1)
	go b.accept()
	return b, nil
}

// Addr is its address, host:port.
func (b *Backend) Addr() string { return b.listener.Addr().String() }

// Close ends it and its connections.
func (b *Backend) Close() {
	b.listener.Close()
	b.mu.Lock()
	for c := range b.open {
		c.Close()
	}
	b.open = nil
	b.mu.Unlock()
	b.wait.Wait()
}

// prepare sets the answer and forgets what came so far.
func (b *Backend) prepare(answer func(head string) string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answer = answer
	b.got.Reset()
}

// Got is all that came since prepare.
func (b *Backend) Got() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.String()
}

// Write keeps what came.
func (b *Backend) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.got.Write(p)
}

func (b *Backend) accept() {
	defer b.wait.Done()
	for {
		c, err := b.listener.Accept()
		if err != nil {
			return
		}
		b.wait.Add(1)
		go func() {
			defer b.wait.Done()
			defer c.Close()
			if b.add(c) {
				b.serve(c)
			}
		}()
	}
}

// add reports whether c may be served.
func (b *Backend) add(c net.Conn) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		return false
	}
	b.open[c] = struct{}{}
	return true
}

// serve answers each request of a connection until one is answered with 101:
// from then on all bytes are the tunnel's.
func (b *Backend) serve(c net.Conn) {
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.open, c)
	}()
	_ = c.SetDeadline(time.Now().Add(patience))
	rd := bufio.NewReader(io.TeeReader(c, b))
	for {
		var head strings.Builder
		for !strings.HasSuffix(head.String(), "\r\n\r\n") {
			line, err := rd.ReadString('\n')
			if err != nil {
				return
			}
			head.WriteString(line)
		}
		b.mu.Lock()
		answer := b.answer(head.String())
		b.mu.Unlock()
		if _, err := io.WriteString(c, answer); err != nil {
			return
		}
		if strings.HasPrefix(answer, "HTTP/1.1 101") {
			_, _ = io.Copy(io.Discard, rd)
			return
		}
	}
}

// accept101 is a correct answer to the handshake with head.
func accept101(head string) string {
	sum := sha1.Sum([]byte(value(head, "Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		base64.StdEncoding.EncodeToString(sum[:]) + "\r\n\r\n"
}

// value returns a header in the text of a head.
func value(head, name string) string {
	for line := range strings.SplitSeq(head, "\r\n") {
		if k, v, ok := strings.Cut(line, ":"); ok && strings.EqualFold(k, name) {
			return strings.TrimSpace(v)
		}
	}
	return ""
}
