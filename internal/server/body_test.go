package server

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/config"
)

// A pipeListener accepts one connection, whose time is that of a synctest
// bubble.
type pipeListener struct {
	conns chan net.Conn
}

func (l *pipeListener) Accept() (net.Conn, error) {
	c, ok := <-l.conns
	if !ok {
		return nil, net.ErrClosed
	}
	return c, nil
}

func (l *pipeListener) Close() error   { return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// Strangers cannot hold a connection with a body that never comes.
func TestBodyThatNeverComes(t *testing.T) {
	for _, listener := range []string{"public", "admin"} {
		t.Run(listener, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s, err := New(&config.Config{Log: config.Log{Level: "error"}}, Options{Logs: io.Discard})
				if err != nil {
					t.Fatal(err)
				}
				srv := s.newHTTP(map[string]http.HandlerFunc{"public": s.public, "admin": s.admin}[listener])
				near, far := net.Pipe()
				l := &pipeListener{make(chan net.Conn, 1)}
				l.conns <- far
				go srv.Serve(l)
				defer close(l.conns)
				defer near.Close()
				began := time.Now()
				go io.WriteString(near, "POST /chat HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
				near.SetReadDeadline(time.Now().Add(time.Hour))
				if _, err := io.Copy(io.Discard, bufio.NewReader(near)); err != nil {
					t.Errorf("got %v, want the end of the connection", err)
				}
				if took := time.Since(began); took > headTime+time.Second {
					t.Errorf("got the end after %v, want %v", took, headTime)
				}
			})
		})
	}
}
