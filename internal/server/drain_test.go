package server_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// TestDrain: all are told, nobody is admitted, the operator sees it, and the
// requests under way are answered.
func TestDrain(t *testing.T) {
	b := newBackend(t)
	g := start(t, strings.Replace(oneRoute(b, "/chat"), "drain: 100ms", "drain: 1s", 1))
	conns := crowd(t, "ws://"+g.public+"/chat", 100)
	told := make(chan int, len(conns))
	for _, c := range conns {
		go func() {
			code, reason := closeOf(c)
			if !strings.HasPrefix(reason, "draining ") {
				t.Errorf("got %d %s, want 1001 draining", code, reason)
			}
			told <- code
		}()
	}
	begun := time.Now()
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.stop()
	}()
	g.logs.await(t, "msg=draining")
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		if res, body := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, ""); res.StatusCode == http.StatusServiceUnavailable {
			if !strings.Contains(body, `"not draining"`) {
				t.Errorf("got %s, want the drain in it", body)
			}
			break
		}
		if time.Now().After(until) {
			t.Fatal("ready while it drains")
		}
	}
	if _, err := dial(t, "ws://"+g.public+"/chat", bearer(t)); err == nil {
		t.Error("got in while it drains")
	}
	for range conns {
		if code := <-told; code != websocket.CloseGoingAway {
			t.Fatalf("got %d, want 1001 draining", code)
		}
	}
	<-stopped
	if took := time.Since(begun); took > patience {
		t.Errorf("the drain took %v", took)
	}
	b.busy.Wait() // Every tunnel to the backend has ended.
	if n := b.requests(); n != len(conns) {
		t.Errorf("got %d handshakes at the backend, want %d", n, len(conns))
	}
}

// Sockets that wait for a verdict do not hold the end up for as long as they
// may wait.
func TestDrainOfPending(t *testing.T) {
	b := newBackend(t)
	g := start(t, front+`routes: [{path: /chat, upstream: "`+b.ws()+`", limits: {first_message: 10m}, carriers: [first_message: {verify: [local]}]}]`+"\n")
	c := mustDial(t, "ws://"+g.public+"/chat", nil)
	begun := time.Now()
	g.stop()
	if took := time.Since(begun); took > patience {
		t.Errorf("the drain took %v", took)
	}
	c.SetReadDeadline(time.Now().Add(patience))
	_, _, err := c.ReadMessage()
	if late, ok := errors.AsType[net.Error](err); err == nil || ok && late.Timeout() {
		t.Errorf("got %v, want the connection to be closed", err)
	}
}

// A plain request that is under way is answered.
func TestDrainOfRequests(t *testing.T) {
	going, release := make(chan struct{}), make(chan struct{})
	b := newBackend(t)
	b.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(going)
		<-release
		io.WriteString(w, "whole")
	})
	g := start(t, strings.Replace(oneRoute(b, "/chat"), "drain: 100ms", "drain: 5s", 1))
	answer := make(chan string, 1)
	go func() {
		_, body := do(t, http.MethodGet, "http://"+g.public+"/chat", bearer(t), "")
		answer <- body
	}()
	<-going
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		g.stop()
	}()
	g.logs.await(t, "msg=draining")
	close(release)
	if body := <-answer; body != "whole" {
		t.Errorf("got %q, want the whole answer", body)
	}
	<-stopped
}
