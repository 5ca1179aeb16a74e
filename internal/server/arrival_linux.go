package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/head"
	"github.com/usher-ws/usher/internal/socket"
)

// roomSize is how much of a first request is read here at most.
const roomSize = 8 << 10

var rooms = sync.Pool{New: func() any { return new([roomSize]byte) }}

// An arrival is one of the arrivals. It is owned by the goroutine that serves it.
type arrival struct {
	at      *arrivals
	conn    *socket.Conn
	visitor *visitor
	begun   time.Time

	room *[roomSize]byte // Nil while nothing was read.
	n    int             // What was.
}

// Take implements [socket.Room].
func (a *arrival) Take() []byte {
	if a.room == nil {
		a.room = rooms.Get().(*[roomSize]byte)
	}
	return a.room[a.n:]
}

// Leave implements [socket.Room].
func (a *arrival) Leave() {
	if a.n == 0 {
		a.free()
	}
}

func (a *arrival) free() {
	if a.room != nil {
		rooms.Put(a.room)
		a.room = nil
	}
}

// serve reads the first request and serves it, or leaves it to net/http.
func (a *arrival) serve() {
	defer a.at.visitors.leave(a.visitor)
	defer a.free()
	defer func() {
		if p := recover(); p != nil { // Not of a handler: see answer.
			a.panicked(p)
			_ = a.conn.Close()
		}
	}()
	size, err := a.read()
	if err != nil { // Nobody is there to hear it, or comes too late.
		_ = a.conn.Close()
		return
	}
	if size > 0 {
		if r := handshakeOf(string(a.room[:size])); r != nil {
			a.answer(r, size)
			return
		}
	}
	a.at.give(a.leftover(nil)).rest()
}

// read reads a head, and returns its size. It is 0 if what came is not plain, or
// will not be.
func (a *arrival) read() (size int, err error) {
	for a.n < roomSize {
		n, err := a.conn.Await(a.begun.Add(headTime), a)
		if a.n == 0 && n > 0 {
			a.at.visitors.hear(a.visitor)
		}
		if a.n += n; err != nil {
			if a.n > 0 && errors.Is(err, io.EOF) {
				return 0, nil
			}
			return 0, err
		}
		if size = head.Size(a.room[:a.n]); size > 0 {
			return size, nil
		}
		if !mayBePlain(a.room[:a.n]) {
			return 0, nil
		}
	}
	return 0, nil
}

// leftover is the connection with what was read of it, for net/http.
func (a *arrival) leftover(to *loan) *leftover {
	return &leftover{
		Conn: a.conn, early: bytes.Clone(a.room[:a.n]), limit: a.begun.Add(headTime), loan: to, gone: make(chan struct{}),
	}
}

// answer has a handshake served, whose head has this size.
func (a *arrival) answer(r *http.Request, size int) {
	rep := &reply{
		arrival: a, ctx: &requestContext{arrival: a}, early: bytes.Clone(a.room[size:a.n]), header: make(http.Header),
	}
	r.RemoteAddr = a.conn.Peer().String()
	returned := false
	defer func() {
		p := recover()
		switch {
		case p != nil:
			a.panicked(p)
		case !returned: // It has ended its goroutine.
			p = http.ErrAbortHandler
		}
		rep.over(p != nil)
	}()
	a.at.serve(rep, r.WithContext(rep.ctx))
	returned = true
}

// panicked logs what was panicked with as net/http does.
func (a *arrival) panicked(p any) {
	if p != any(http.ErrAbortHandler) {
		a.at.server.ErrorLog.Printf("http: panic serving %v: %v", a.conn.Peer(), withStack(p))
	}
}
