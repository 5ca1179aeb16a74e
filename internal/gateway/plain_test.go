package gateway_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// The bound on a stranger's body is lifted for who is admitted.
func TestPlainBodyUnbounded(t *testing.T) {
	came := make(chan struct{})
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(came)
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, string(body), " ", err)
	}))
	t.Cleanup(upstream.Close)
	guard := &usher.Guard{Carriers: []usher.Carrier{usher.Bearer(known)}}
	pool := gateway.NewPool(time.Second, target(t, "ws://"+upstream.Listener.Addr().String())...)
	route := guard.Handler((&gateway.Route{Pattern: "/chat", Pool: pool, Guard: guard}).Handler())
	bounded := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The bound is over already: without a lift nothing more can be read.
		if err := http.NewResponseController(w).SetReadDeadline(time.Now().Add(-time.Second)); err != nil {
			t.Error(err)
		}
		route.ServeHTTP(w, r)
	}))
	t.Cleanup(pool.CloseIdle)
	t.Cleanup(bounded.Close)
	p := dial(t, bounded.Listener.Addr().String())
	p.say("POST /chat HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 5\r\n" + bearer + "\r\n\r\n")
	<-came
	p.say("hello")
	res := p.answer()
	if body, err := io.ReadAll(res.Body); string(body) != "hello <nil>" || err != nil {
		t.Errorf("got %d %q, %v, want the body passed on", res.StatusCode, body, err)
	}
}

// The pool's time to connect, TLS included, is that of plain requests too.
func TestPlainConnectTimeout(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // It takes connections and says nothing.
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	targets := target(t, "wss://"+l.Addr().String()+"/chat")
	g := open(t, targets, func(rt *gateway.Route, _ *usher.Guard) { rt.Pool = gateway.NewPool(50*time.Millisecond, targets...) })
	p := dial(t, g.addr)
	began := time.Now()
	p.say("GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + bearer + "\r\n\r\n")
	if res := p.answer(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got %d, want 503", res.StatusCode)
	}
	if took := time.Since(began); took > 8*time.Second { // Without it they would be the 10 s of a handshake.
		t.Errorf("got an answer after %v, want it within the pool's 50ms", took)
	}
}
