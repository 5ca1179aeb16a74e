//go:build linux

package main

import (
	"bytes"
	"errors"
	"net"
	"net/url"
	"strings"
	"sync"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"github.com/usher-ws/usher/test/load/tokens"
)

// A broadcast is the least that can stand where a hub does: gobwas on TCP
// connections of its own, without net/http. A handshake has its token in the
// query, and perhaps the channel that the connection gets. A message is the name
// of a channel, a space, and what all who get that are sent: one frame, made
// once, written to one after the other. Then its sender is sent "ack". There is
// no order, history or identity, and who is slow holds up all.
type broadcast struct {
	check    verifier
	listener net.Listener

	mu       sync.RWMutex
	channels map[string]*audience // Guarded by mu.
}

// An audience is who gets a channel.
type audience struct {
	mu    sync.Mutex
	conns []net.Conn // Guarded by mu.
}

func newBroadcast(check verifier) (*broadcast, error) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	return &broadcast{check: check, listener: l, channels: make(map[string]*audience)}, err
}

// serve accepts connections until the listener is closed.
func (b *broadcast) serve() {
	for {
		c, err := b.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // There are too many files: it waits.
		}
		go b.admit(c)
	}
}

// admit answers a handshake, and goes on in a goroutine whose stack has not
// grown.
func (b *broadcast) admit(c net.Conn) {
	var at *audience
	good, origin := false, false
	_, err := ws.Upgrader{
		OnRequest: func(uri []byte) error {
			_, query, _ := strings.Cut(string(uri), "?")
			q, err := url.ParseQuery(query)
			if err != nil {
				return err
			}
			if _, err := b.check.Verify(q.Get("access_token")); err != nil {
				return ws.RejectConnectionError(ws.RejectionStatus(401))
			}
			if name := q.Get("channel"); name != "" {
				at = b.audience(name)
			}
			good = true
			return nil
		},
		OnHeader: func(key, value []byte) error {
			origin = origin || string(key) == "Origin" && string(value) == tokens.Origin
			return nil
		},
		OnBeforeUpgrade: func() (ws.HandshakeHeader, error) {
			if !good || !origin {
				return nil, ws.RejectConnectionError(ws.RejectionStatus(403))
			}
			return nil, nil
		},
	}.Upgrade(c)
	if err != nil {
		c.Close()
		return
	}
	if at != nil {
		at.join(c)
	}
	go b.hear(c)
}

func (b *broadcast) audience(name string) *audience {
	b.mu.RLock()
	a := b.channels[name]
	b.mu.RUnlock()
	if a != nil {
		return a
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if a = b.channels[name]; a == nil {
		a = new(audience)
		b.channels[name] = a
	}
	return a
}

func (a *audience) join(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.conns = append(a.conns, c)
}

var ackFrame = ws.MustCompileFrame(ws.NewTextFrame([]byte("ack")))

// hear passes on what a connection says.
func (b *broadcast) hear(c net.Conn) {
	defer c.Close()
	for {
		message, _, err := wsutil.ReadClientData(c)
		if err != nil {
			return
		}
		name, text, ok := bytes.Cut(message, []byte(" "))
		if !ok {
			return
		}
		frame, err := ws.CompileFrame(ws.NewTextFrame(text))
		if err != nil {
			return
		}
		b.audience(string(name)).tell(frame)
		if _, err := c.Write(ackFrame); err != nil {
			return
		}
	}
}

// tell writes a frame to all. Who cannot be reached is seen by its reader.
func (a *audience) tell(frame []byte) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, c := range a.conns {
		c.Write(frame)
	}
}
