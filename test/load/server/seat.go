//go:build linux

package main

import (
	"context"
	"net"
	"net/http"
	"time"

	"github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
)

// A seat answers the handshake with one of the libraries and echoes messages,
// in the way that the library's documentation shows. Where first is not nil it
// judges the first message, which is then answered.
type seat func(w http.ResponseWriter, r *http.Request, first func([]byte) error)

var seats = map[string]seat{"gobwas": seatGobwas, "gorilla": seatGorilla, "coder": seatCoder}

// greeting answers a first message that was good.
const greeting = `{"type":"auth_ok"}`

// firstMessage is how long a client has for it.
const firstMessage = 10 * time.Second

var gobwasUpgrader = ws.HTTPUpgrader{Protocol: func(p string) bool { return p == "chat" }}

// seatGobwas goes on in a goroutine of its own, so that what net/http holds for
// a handler is let go: who takes this library does so for its memory.
func seatGobwas(w http.ResponseWriter, r *http.Request, first func([]byte) error) {
	c, _, _, err := gobwasUpgrader.Upgrade(r, w)
	if err != nil {
		return
	}
	go echoGobwas(c, first)
}

func echoGobwas(c net.Conn, first func([]byte) error) {
	defer c.Close()
	if first != nil {
		c.SetReadDeadline(time.Now().Add(firstMessage))
		message, _, err := wsutil.ReadClientData(c)
		if err != nil || first(message) != nil || writeGobwas(c, ws.OpText, []byte(greeting)) != nil {
			return
		}
		c.SetReadDeadline(time.Time{})
	}
	for {
		message, op, err := wsutil.ReadClientData(c)
		if err != nil || writeGobwas(c, op, message) != nil {
			return
		}
	}
}

// writeGobwas writes a message by one system call; the library's own way takes
// two, for head and payload.
func writeGobwas(c net.Conn, op ws.OpCode, message []byte) error {
	frame, err := ws.CompileFrame(ws.NewFrame(op, true, message))
	if err != nil {
		return err
	}
	_, err = c.Write(frame)
	return err
}

var gorillaUpgrader = gorilla.Upgrader{
	Subprotocols: []string{"chat"},
	// The origin was checked before.
	CheckOrigin: func(*http.Request) bool { return true },
}

func seatGorilla(w http.ResponseWriter, r *http.Request, first func([]byte) error) {
	c, err := gorillaUpgrader.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	if first != nil {
		c.SetReadDeadline(time.Now().Add(firstMessage))
		_, message, err := c.ReadMessage()
		if err != nil || first(message) != nil || c.WriteMessage(gorilla.TextMessage, []byte(greeting)) != nil {
			return
		}
		c.SetReadDeadline(time.Time{})
	}
	for {
		kind, message, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, message) != nil {
			return
		}
	}
}

func seatCoder(w http.ResponseWriter, r *http.Request, first func([]byte) error) {
	c, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{"chat"},
		InsecureSkipVerify: true, // The origin was checked before.
	})
	if err != nil {
		return
	}
	defer c.CloseNow()
	ctx := r.Context()
	if first != nil {
		wait, cancel := context.WithTimeout(ctx, firstMessage)
		_, message, err := c.Read(wait)
		cancel()
		if err != nil || first(message) != nil || c.Write(ctx, websocket.MessageText, []byte(greeting)) != nil {
			return
		}
	}
	for {
		kind, message, err := c.Read(ctx)
		if err != nil || c.Write(ctx, kind, message) != nil {
			return
		}
	}
}
