// Command go is an echo with gorilla/websocket, and a page at every path, as an
// application has them that never heard of Usher. What it saw it prints, a line
// of JSON each, and it ends when its input does. Only the browser tests start
// it.
package main

import (
	"encoding/json"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// An event is what the tests are told.
type event struct {
	Event    string `json:"event"`
	ID       int64  `json:"id,omitempty"`
	Port     int    `json:"port,omitempty"`
	Path     string `json:"path,omitempty"`
	Protocol string `json:"protocol,omitempty"`
	Text     string `json:"text,omitempty"`
	Code     int    `json:"code,omitempty"`
}

// A backend prints what it saw.
type backend struct {
	last atomic.Int64 // The newest connection's number.

	mu sync.Mutex
	// Guarded by mu.
	out *json.Encoder
}

func (b *backend) tell(e event) {
	b.mu.Lock()
	err := b.out.Encode(e)
	b.mu.Unlock()
	if err != nil {
		log.Fatal(err) // Nobody listens any more.
	}
}

// upgrader takes pages of any origin: whoever is in front has looked at it.
var upgrader = websocket.Upgrader{
	Subprotocols:      []string{"chat.v1"},
	CheckOrigin:       func(*http.Request) bool { return true },
	EnableCompression: true,
}

func (b *backend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !websocket.IsWebSocketUpgrade(r) {
		b.tell(event{Event: "request", Path: r.RequestURI})
		w.Header().Set("Content-Type", "text/html")
		_, _ = io.WriteString(w, "<!doctype html><title>a page of the backend</title>")
		return
	}
	conn, err := upgrader.Upgrade(w, r, nil)
	if err != nil {
		return // Upgrade has answered.
	}
	defer conn.Close()
	id := b.last.Add(1)
	b.tell(event{Event: "open", ID: id, Path: r.RequestURI, Protocol: conn.Subprotocol()})
	b.tell(event{Event: "close", ID: id, Code: b.echo(conn, id)})
}

// echo repeats what comes and returns the code that the connection was closed
// with.
func (b *backend) echo(conn *websocket.Conn, id int64) int {
	for {
		kind, message, err := conn.ReadMessage()
		if closed, ok := errors.AsType[*websocket.CloseError](err); ok {
			return closed.Code
		}
		if err != nil {
			return websocket.CloseAbnormalClosure
		}
		b.tell(event{Event: "message", ID: id, Text: string(message)})
		if conn.WriteMessage(kind, message) != nil {
			return websocket.CloseAbnormalClosure
		}
	}
}

func main() {
	log.SetFlags(0)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	b := &backend{out: json.NewEncoder(os.Stdout)}
	server := &http.Server{Handler: b, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	b.tell(event{Event: "listening", Port: l.Addr().(*net.TCPAddr).Port})
	log.Fatal(server.Serve(l))
}
