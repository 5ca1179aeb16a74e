package main

import (
	"net/http"

	coder "github.com/coder/websocket"
	gorilla "github.com/gorilla/websocket"
)

// subprotocol is the application's own.
const subprotocol = "chat.v1"

// maxEcho bounds what a client may send, in bytes.
const maxEcho = 64 << 10

// echoGorilla is an echo written with gorilla/websocket.
func (rec *record) echoGorilla() http.Handler {
	upgrader := gorilla.Upgrader{
		Subprotocols: []string{subprotocol},
		CheckOrigin:  func(*http.Request) bool { return true }, // The Guard has.
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run, err := rec.begin(r, "gorilla")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer rec.change(func() { run.Ended = true })
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return // Upgrade has answered.
		}
		defer conn.Close()
		conn.SetReadLimit(maxEcho)
		rec.change(func() { run.Subprotocol = conn.Subprotocol() })
		for {
			kind, message, err := conn.ReadMessage()
			if err != nil {
				return
			}
			rec.change(func() { run.Messages = append(run.Messages, string(message)) })
			if conn.WriteMessage(kind, message) != nil {
				return
			}
		}
	})
}

// echoCoder is the same written with coder/websocket.
func (rec *record) echoCoder() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		run, err := rec.begin(r, "coder")
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		defer rec.change(func() { run.Ended = true })
		conn, err := coder.Accept(w, r, &coder.AcceptOptions{
			Subprotocols:       []string{subprotocol},
			InsecureSkipVerify: true, // The Guard has checked the origin.
		})
		if err != nil {
			return // Accept has answered.
		}
		defer conn.CloseNow()
		conn.SetReadLimit(maxEcho)
		rec.change(func() { run.Subprotocol = conn.Subprotocol() })
		for {
			kind, message, err := conn.Read(r.Context())
			if err != nil {
				return
			}
			rec.change(func() { run.Messages = append(run.Messages, string(message)) })
			if conn.Write(r.Context(), kind, message) != nil {
				return
			}
		}
	})
}
