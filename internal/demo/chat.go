package demo

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"
)

// subprotocol is the chat's own.
const subprotocol = "chat.v1"

const (
	maxMembers  = 100             // One more is told to try again later.
	maxLine     = 1 << 10         // Bytes of one message.
	memberQueue = 16              // A member that is this far behind is put out.
	writeTime   = 5 * time.Second // For one message to one member.
)

// A line is one message of the chat.
type line struct {
	From string `json:"from,omitempty"` // Empty for what the room itself says.
	Text string `json:"text"`
}

// userHeader is where a name is, if there is one.
const userHeader = "X-User"

// A room is a chat for everybody who is in it. It has no idea of
// authentication: a header has a name, and that is all.
type room struct {
	mu sync.Mutex
	// Guarded by mu.
	members map[*member]struct{}
}

type member struct {
	name  string
	lines chan line     // A full queue means that the member is put out.
	out   chan struct{} // Closed when the member is put out.
}

func newRoom() *room { return &room{members: make(map[*member]struct{})} }

// ServeHTTP lets a client chat, or, where it does not ask for a WebSocket,
// tells it who is in the room.
func (c *room) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := r.Header.Get(userHeader)
	if r.Header.Get("Upgrade") == "" {
		writeJSON(w, map[string]any{"you": name, "room": c.names()})
		return
	}
	m := &member{name: name, lines: make(chan line, memberQueue), out: make(chan struct{})}
	if !c.join(m) {
		http.Error(w, "the room is full", http.StatusServiceUnavailable)
		return
	}
	defer c.leave(m)
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{Subprotocols: []string{subprotocol}})
	if err != nil {
		return
	}
	defer conn.CloseNow()
	conn.SetReadLimit(maxLine)
	c.talk(r.Context(), conn, m)
}

// talk reads until the socket ends, whoever ends it.
func (c *room) talk(ctx context.Context, conn *websocket.Conn, m *member) {
	ctx, stop := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() { m.write(ctx, conn) })
	defer writer.Wait()
	defer stop()
	c.say(line{Text: m.name + " came in"})
	defer func() { c.say(line{Text: m.name + " left"}) }()
	for {
		kind, text, err := conn.Read(ctx)
		if err != nil {
			return
		}
		if kind == websocket.MessageText {
			c.say(line{From: m.name, Text: string(text)})
		}
	}
}

// write sends what is said to the member, and says goodbye if it is put out.
func (m *member) write(ctx context.Context, conn *websocket.Conn) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-m.out:
			_ = conn.Close(websocket.StatusPolicyViolation, "too slow")
			return
		case l := <-m.lines:
			text, err := json.Marshal(l)
			if err != nil {
				return
			}
			deadline, cancel := context.WithTimeout(ctx, writeTime)
			err = conn.Write(deadline, websocket.MessageText, text)
			cancel()
			if err != nil {
				return
			}
		}
	}
}

func (c *room) join(m *member) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.members) >= maxMembers {
		return false
	}
	c.members[m] = struct{}{}
	return true
}

func (c *room) leave(m *member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.members, m)
}

// say gives l to everybody; who does not keep up is put out.
func (c *room) say(l line) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range c.members {
		select {
		case m.lines <- l:
		default:
			delete(c.members, m)
			close(m.out)
		}
	}
}

func (c *room) names() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	names := []string{}
	for m := range c.members {
		names = append(names, m.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func writeJSON(w http.ResponseWriter, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "cannot encode the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	fmt.Fprintf(w, "%s\n", text)
}
