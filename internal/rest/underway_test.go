package rest_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/rest"
)

// slowPeers are other nodes that answer when they are let.
type slowPeers struct{ asked, let chan struct{} }

func (p slowPeers) Ask(ctx context.Context, q hub.Question, _ func(hub.Answer)) error {
	if q.App == "" || q.Channel != "" {
		return nil
	}
	select {
	case p.asked <- struct{}{}:
	default:
	}
	select {
	case <-p.let:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (slowPeers) Serve(func(hub.Question) hub.Answer) (func(), error) { return func() {}, nil }

// The channels of an app are listed once at a time, and whoever else does anything
// else does not notice.
func TestChannelsAreListedOnceAtATime(t *testing.T) {
	w := newWorld(t, nil)
	p := slowPeers{make(chan struct{}, 1), make(chan struct{})}
	if err := w.hub.Join(p); err != nil {
		t.Fatal(err)
	}
	first := make(chan reply)
	go func() { first <- w.ask(ask{"full", "GET", "/channels?limit=1000", "", false, nil}) }()
	<-p.asked
	if got := w.refused(ask{"group", "GET", "/channels", "", false, nil}, 42912); got.status != 429 || got.header.Get("Retry-After") == "" {
		t.Errorf("got %d %v, want 429 and when to try again", got.status, got.header)
	}
	w.want(ask{"full", "GET", "/channels/a/messages", "", false, nil}, 200, `.*`)
	w.refused(ask{"some", "GET", "/channels", "", false, nil}, ably.NotPermitted)
	close(p.let)
	if got := <-first; got.status != 200 {
		t.Errorf("got %d %s", got.status, got.body)
	}
	w.want(ask{"full", "GET", "/channels", "", false, nil}, 200, `.*`)
}

// Who does not read its answer is not waited for longer than a while.
func TestAnswerThatIsNotRead(t *testing.T) {
	w := newWorld(t, func(o *rest.Options) { o.WriteTimeout = 300 * time.Millisecond })
	big := `{"data":"` + strings.Repeat("x", 60_000) + `"}`
	for range 200 {
		w.want(ask{"full", "POST", "/channels/a/messages", big, false, nil}, 201, `.*`)
	}
	ended := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer close(ended)
		w.handler.ServeHTTP(rw, r)
	}))
	defer s.Close()
	c, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if tcp, ok := c.(*net.TCPConn); ok { // So that the answer does not fit into the kernel's room.
		_ = tcp.SetReadBuffer(4 << 10)
	}
	if _, err := io.WriteString(c, "GET /channels/a/messages?limit=1000 HTTP/1.1\r\nHost: x\r\nAuthorization: "+basicAuth("app.full", secret)+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Error("got a call that is still under way")
		_ = c.Close()
		<-ended
	}
}
