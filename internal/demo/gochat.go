package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
)

// A goChat is the chat in Go: a plain http.Server with a room, on a port of its
// own.
type goChat struct {
	// Immutable after startGoChat.
	listener net.Listener
	server   *http.Server
	served   chan error
	hear     func(heard)
	end      context.CancelFunc // Of the context of all handlers.
	room     *room

	talking sync.WaitGroup // Handlers that run: the server does not know of those with a socket.
}

func startGoChat(ip string, hear func(heard)) (*goChat, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(ip, "0"))
	if err != nil {
		return nil, fmt.Errorf("listen for the chat: %w", err)
	}
	ctx, end := context.WithCancel(context.Background())
	c := &goChat{listener: overheardListener{l}, served: make(chan error, 1), hear: hear, end: end, room: newRoom()}
	c.server = newHTTPServer(ctx, c)
	c.server.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		return context.WithValue(ctx, overheardKey{}, conn)
	}
	go func() { c.served <- c.server.Serve(c.listener) }()
	return c, nil
}

func (c *goChat) address() string { return c.listener.Addr().String() }

// ServeHTTP writes down what came, and lets the client chat.
func (c *goChat) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.talking.Add(1)
	defer c.talking.Done()
	if conn, ok := r.Context().Value(overheardKey{}).(*overheardConn); ok {
		c.hear(parseHead(conn.takeHead(r.Header.Get("Upgrade") != "")))
	}
	c.room.ServeHTTP(w, r)
}

// stop ends the server and waits for its handlers. The gateway has closed its
// sockets by then; where it has not, they are closed here.
func (c *goChat) stop() error {
	err := c.server.Close()
	c.end()
	c.talking.Wait()
	if served := <-c.served; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// maxHeard bounds the head of a request that is shown, in bytes.
const maxHeard = 64 << 10

type overheardKey struct{}

type overheardListener struct{ net.Listener }

// Accept returns a connection that remembers the head of what comes.
func (l overheardListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &overheardConn{Conn: conn}, nil
}

// An overheardConn remembers what it reads until its head is taken, so that the
// page can show a request byte for byte: net/http tells neither the order of
// headers nor their spelling.
type overheardConn struct {
	net.Conn
	mu sync.Mutex
	// Guarded by mu.
	head []byte
	over bool // Nothing that comes now is a head.
}

// Read remembers what it reads.
func (c *overheardConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		c.head = append(c.head, p[:min(n, maxHeard-len(c.head))]...)
	}
	return n, err
}

// takeHead returns the head of the request that is being served. With last it
// is that of an upgrade, and no other follows.
func (c *overheardConn) takeHead(last bool) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	head, rest, _ := bytes.Cut(c.head, []byte("\r\n\r\n"))
	c.head = rest
	if last {
		c.head, c.over = nil, true
	}
	return bytes.Clone(head)
}
