package hub_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Actions and flags of the wire.
const (
	ack, nack, connected       = 1, 2, 4
	attach, attached, detached = 10, 11, 13
	presence, message, syncs   = 14, 15, 16

	hasPresence, resumed = 1 << 0, 1 << 2

	present, enter, leave = 1, 2, 3
)

// A frame is what of a protocol message matters here.
type frame struct {
	Action        int             `json:"action"`
	Channel       string          `json:"channel,omitempty"`
	ChannelSerial string          `json:"channelSerial,omitempty"`
	ConnectionID  string          `json:"connectionId,omitempty"`
	MsgSerial     *int64          `json:"msgSerial,omitempty"`
	Count         int64           `json:"count,omitempty"`
	Flags         int             `json:"flags,omitempty"`
	Error         json.RawMessage `json:"error,omitempty"`
	Messages      []wireMessage   `json:"messages,omitempty"`
	Presence      []wireMember    `json:"presence,omitempty"`
	Timestamp     int64           `json:"timestamp,omitempty"`
	Res           []struct {
		Serials []string `json:"serials"`
	} `json:"res,omitempty"`
	Details struct {
		Key string `json:"connectionKey"`
	} `json:"connectionDetails,omitzero"`
}

type wireMessage struct {
	ID     string `json:"id,omitempty"`
	Data   string `json:"data,omitempty"`
	Serial string `json:"serial,omitempty"`
}

type wireMember struct {
	ID           string `json:"id,omitempty"`
	Action       int    `json:"action"`
	ClientID     string `json:"clientId"`
	ConnectionID string `json:"connectionId,omitempty"`
	Timestamp    int64  `json:"timestamp,omitempty"`
}

// A request waits for its answer.
type request struct {
	frame  frame
	serial int64
	done   func(serials []string, ok bool) // Called with the client's lock.
}

// A client does what an SDK does: it comes back after whatever has happened,
// resumes, attaches again with what it saw last, and sends again what was not
// answered.
type client struct {
	addr  string
	query string
	note  func(*client, string, frame) // Told of MESSAGEs and losses, by one goroutine.

	mu       sync.Mutex
	conn     net.Conn
	id, key  string
	serial   int64
	waiting  []*request
	channels map[string]*view
	members  map[string]map[string]bool // Whom it has entered, by channel.
	stalled  time.Duration              // Before the next read.
	comes    int                        // How often it has connected.
}

// A view is what a client knows of one channel.
type view struct {
	serial   string // Of what it saw last.
	attached bool
	members  map[string]wireMember // By connection and client.
	residue  map[string]wireMember // Of members, what a sync has not shown yet. Nil: there is none.
	sync     string
}

func newClient(addr, query string, note func(*client, string, frame), channels ...string) *client {
	c := &client{addr: addr, query: query, note: note, channels: map[string]*view{}, members: map[string]map[string]bool{}}
	for _, name := range channels {
		c.channels[name] = &view{members: map[string]wireMember{}}
	}
	return c
}

// run goes on until ctx ends.
func (c *client) run(ctx context.Context) {
	for ctx.Err() == nil {
		c.session(ctx)
		select {
		case <-ctx.Done():
		case <-time.After(time.Duration(rand.IntN(50)) * time.Millisecond):
		}
	}
}

// session is one connection, until it ends.
func (c *client) session(ctx context.Context) {
	c.mu.Lock()
	url := "ws://" + c.addr + "/?access_token=x&v=6&" + c.query
	if c.key != "" {
		url += "&resume=" + c.key
	}
	for _, v := range c.channels {
		v.attached = false
	}
	c.mu.Unlock()
	dialing, cancel := context.WithTimeout(ctx, 5*time.Second)
	conn, br, _, err := ws.Dial(dialing, url)
	cancel()
	if err != nil {
		return
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	rw := struct {
		net.Conn
		read func([]byte) (int, error)
	}{conn, conn.Read}
	if br != nil {
		rw.read = br.Read
	}
	for {
		c.mu.Lock()
		stalled := c.stalled
		c.stalled = 0
		c.mu.Unlock()
		if stalled > 0 {
			time.Sleep(stalled)
		}
		_ = conn.SetReadDeadline(time.Now().Add(25 * time.Second))
		b, err := wsutil.ReadServerText(readWriter{rw.read, conn})
		if err != nil {
			return
		}
		var f frame
		if err := json.Unmarshal(b, &f); err != nil {
			c.note(c, "malformed", frame{})
			return
		}
		c.take(conn, f)
	}
}

type readWriter struct {
	read func([]byte) (int, error)
	net.Conn
}

func (rw readWriter) Read(p []byte) (int, error) { return rw.read(p) }

func (c *client) take(conn net.Conn, f frame) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v := c.channels[f.Channel]
	switch {
	case f.Action == connected:
		c.connected(conn, f)
	case f.Action == ack, f.Action == nack:
		c.answered(f)
	case v == nil:
	case f.Action == attached:
		c.attached(v, f)
	case f.Action == detached:
		v.attached = false
		time.AfterFunc(100*time.Millisecond, func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			if c.conn == conn && !v.attached {
				c.say(frame{Action: attach, Channel: f.Channel, ChannelSerial: v.serial})
			}
		})
	case f.Action == message && v.attached:
		v.serial = f.ChannelSerial
		c.note(c, "", f)
	case f.Action == presence && v.attached:
		v.serial = f.ChannelSerial
		v.apply(f.Presence)
	case f.Action == syncs && v.attached:
		v.synced(f)
	}
}

func (c *client) connected(conn net.Conn, f frame) {
	c.conn = conn
	c.comes++
	if f.ConnectionID != c.id {
		c.serial = 0
		for _, r := range c.waiting {
			r.serial = c.serial
			c.serial++
		}
	}
	c.id, c.key = f.ConnectionID, f.Details.Key
	for name, v := range c.channels {
		c.say(frame{Action: attach, Channel: name, ChannelSerial: v.serial})
	}
	for _, r := range c.waiting {
		c.send(r)
	}
}

func (c *client) attached(v *view, f frame) {
	if v.serial != "" && f.Flags&resumed == 0 {
		c.note(c, "lost", f)
	}
	v.serial, v.attached = f.ChannelSerial, true
	if f.Flags&hasPresence == 0 {
		clear(v.members)
		v.residue = nil
	}
	// Also who has left while there was no connection: it may be the same one.
	for who, is := range c.members[f.Channel] {
		c.move(f.Channel, who, is)
	}
}

// move enters somebody, or has somebody leave. Callers hold mu.
func (c *client) move(channel, who string, in bool) {
	action := leave
	if in {
		action = enter
	}
	c.publish(frame{Action: presence, Channel: channel, Presence: []wireMember{{Action: action, ClientID: who}}}, func([]string, bool) {})
}

// answered takes an answer, which must be of the first that waits.
func (c *client) answered(f frame) {
	for i := range f.Count {
		if len(c.waiting) == 0 || c.waiting[0].serial != *f.MsgSerial+i {
			c.note(c, fmt.Sprintf("answer to %d, which does not wait", *f.MsgSerial+i), f)
			return
		}
		r := c.waiting[0]
		c.waiting = c.waiting[1:]
		var serials []string
		if i < int64(len(f.Res)) {
			serials = f.Res[i].Serials
		}
		r.done(serials, f.Action == ack)
	}
}

// publish sends a request, now or when it can be. Callers hold mu.
func (c *client) publish(f frame, done func([]string, bool)) {
	r := &request{frame: f, serial: c.serial, done: done}
	c.serial++
	c.waiting = append(c.waiting, r)
	c.send(r)
}

func (c *client) send(r *request) {
	f := r.frame
	f.MsgSerial = &r.serial
	c.say(f)
}

func (c *client) say(f frame) {
	if c.conn == nil {
		return
	}
	b, err := json.Marshal(f)
	if err != nil {
		panic(err)
	}
	_ = c.conn.SetWriteDeadline(time.Now().Add(5 * time.Second))
	_ = wsutil.WriteClientText(c.conn, b) // What fails is sent again after the reader has seen it.
}

// cut breaks the connection.
func (c *client) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.conn != nil {
		if tcp, ok := c.conn.(*net.TCPConn); ok && rand.IntN(2) == 0 {
			_ = tcp.SetLinger(0)
		}
		_ = c.conn.Close()
	}
}

// idle is how many requests wait.
func (c *client) idle() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.waiting)
}
