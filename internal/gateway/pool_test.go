package gateway_test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/gateway"
)

// closedAddress is one that nobody listens on. Its port is none of those that
// systems give out by themselves, so that no other test gets it.
func closedAddress(t *testing.T) string {
	t.Helper()
	for {
		addr := fmt.Sprintf("127.0.0.1:%d", 15_000+rand.IntN(15_000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
}

// Connections go to the target with the fewest; one that is down gets none.
func TestPoolLeastConnections(t *testing.T) {
	var live [2]atomic.Int64
	targets := target(t, "ws://"+closedAddress(t))
	for i := range live {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			live[i].Add(1)
			defer live[i].Add(-1)
			echoes["gobwas"].ServeHTTP(w, r)
		}))
		t.Cleanup(s.Close)
		targets = append(targets, target(t, "ws://"+s.Listener.Addr().String())...)
	}
	var pool *gateway.Pool
	g := open(t, targets, func(rt *gateway.Route, _ *usher.Guard) { pool = rt.Pool })
	var peers []*peer
	for range 10 {
		p, _ := connect(t, g.addr, "/chat")
		p.echo("hello")
		peers = append(peers, p)
	}
	if a, b := live[0].Load(), live[1].Load(); a != 5 || b != 5 {
		t.Errorf("got %d and %d connections, want 5 each", a, b)
	}
	for i := range 4 { // Of the first target: they went to the two in turn.
		peers[2*i].Close()
	}
	g.waitFor(t, 6)
	for range 4 {
		p, _ := connect(t, g.addr, "/chat")
		p.echo("hello")
	}
	eventually(t, func() bool { return live[0].Load()+live[1].Load() == 10 }) // The server may see an end later.
	if a, b := live[0].Load(), live[1].Load(); a != 5 || b != 5 {
		t.Errorf("got %d and %d connections after some were closed, want 5 each", a, b)
	}
	down := 0
	for name, err := range pool.Health() {
		if err != nil {
			down++
			if name != targets[0].String() {
				t.Errorf("%s is said to be down: %v", name, err)
			}
		}
	}
	if down != 1 {
		t.Errorf("got %d targets down, want 1", down)
	}
}

// waitFor waits until n connections are live.
func (g *gate) waitFor(t *testing.T, n int) {
	t.Helper()
	eventually(t, func() bool { return g.sessions.Len() == n })
}

func TestPoolAllDown(t *testing.T) {
	g := open(t, append(target(t, "ws://"+closedAddress(t)), target(t, "ws://"+closedAddress(t))...))
	p := dial(t, g.addr)
	p.say(upgrade("/chat", bearer))
	if res := p.answer(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got status %d, want 503", res.StatusCode)
	}
	p.say("GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + bearer + "\r\n\r\n")
	if res := p.answer(); res.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("got status %d for a plain request, want 503", res.StatusCode)
	}
	p = dial(t, g.addr)
	p.say(upgrade("/chat", bearer, "Origin: https://app.example.com"))
	p.answer()
	p.closed(usher.CloseUnavailable)
}

// A plain request that could not reach one target reaches the next, its body
// with it.
func TestPoolPlainBody(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		fmt.Fprint(w, r.URL.Path, " ", string(body), " ", err)
	}))
	t.Cleanup(s.Close)
	g := open(t, append(target(t, "ws://"+closedAddress(t)), target(t, "ws://"+s.Listener.Addr().String()+"/api")...))
	p := dial(t, g.addr)
	p.say("POST /chat HTTP/1.1\r\nHost: gate.example\r\nContent-Length: 5\r\n" + bearer + "\r\n\r\nhello")
	res := p.answer()
	body, err := io.ReadAll(res.Body)
	if string(body) != "/api hello <nil>" || err != nil {
		t.Errorf("got %d %q, %v, want the body passed on", res.StatusCode, body, err)
	}
}

func TestTargetUnixSocket(t *testing.T) {
	name := filepath.Join(t.TempDir(), "app.sock")
	l, err := net.Listen("unix", name)
	if err != nil {
		t.Fatal(err)
	}
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/chat room/1" {
			http.Error(w, r.URL.Path, http.StatusNotFound)
			return
		}
		echoes["gorilla"].ServeHTTP(w, r)
	})}}
	s.Start()
	t.Cleanup(s.Close)
	g := open(t, target(t, "ws+unix://"+name+":/chat%20room"), pattern("/rooms/{id}"))
	p, _ := connect(t, g.addr, "/rooms/1")
	p.echo("hello")
}

func TestTargetTLS(t *testing.T) {
	var plain atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Upgrade") == "" {
			plain.Add(1)
			return
		}
		echoes["gorilla"].ServeHTTP(w, r)
	}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.EnableHTTP2 = true // Which must not be negotiated.
	s.StartTLS()
	t.Cleanup(s.Close)
	own := x509.NewCertPool()
	own.AddCert(s.Certificate())
	for _, tt := range []struct {
		name   string
		conf   *tls.Config
		status int
	}{
		{"own authority", &tls.Config{RootCAs: own}, http.StatusSwitchingProtocols},
		{"system's authorities", nil, http.StatusServiceUnavailable},
		{"another name", &tls.Config{RootCAs: own, ServerName: "other.test"}, http.StatusServiceUnavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			tg, err := gateway.ParseTarget("wss://"+s.Listener.Addr().String()+"/", tt.conf)
			if err != nil {
				t.Fatal(err)
			}
			g := open(t, []*gateway.Target{tg})
			p := dial(t, g.addr)
			p.say(upgrade("/chat", bearer))
			if res := p.answer(); res.StatusCode != tt.status {
				t.Fatalf("got status %d, want %d", res.StatusCode, tt.status)
			}
			if tt.status == http.StatusSwitchingProtocols {
				p.echo(strings.Repeat("x", 100_000))
			}
			p = dial(t, g.addr)
			p.say("GET /chat HTTP/1.1\r\nHost: gate.example\r\n" + bearer + "\r\n\r\n")
			if res := p.answer(); (res.StatusCode == http.StatusOK) != (tt.status == http.StatusSwitchingProtocols) {
				t.Errorf("got status %d for a plain request", res.StatusCode)
			}
		})
	}
	if n := plain.Load(); n != 1 {
		t.Errorf("got %d plain requests at the backend, want 1", n)
	}
}

func TestParseTarget(t *testing.T) {
	for _, text := range []string{
		"", "chat", "http://h/", "https://h/", "ws://", "ws:///x", "ws://u:p@h/", "ws://h/#f", "ws+unix://h/x.sock", "ws+unix:x", "ws://h:x/", "ws://u:p@h:x/",
		"ws+unix:///x.sock:chat",
	} {
		if _, err := gateway.ParseTarget(text, nil); err == nil {
			t.Errorf("%q: got no error", text)
		} else if strings.Contains(err.Error(), "u:p") {
			t.Errorf("%q: the error has the password: %v", text, err)
		}
	}
}
