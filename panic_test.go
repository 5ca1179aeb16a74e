package usher_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// inChild runs the test once more in a process of its own, since it may end it.
func inChild(t *testing.T, body func(t *testing.T)) {
	t.Helper()
	if os.Getenv("ATTACK_CHILD") == t.Name() {
		body(t)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.timeout=30s")
	cmd.Env = append(os.Environ(), "ATTACK_CHILD="+t.Name())
	out, err := cmd.CombinedOutput()
	if err != nil {
		text := string(out)
		if i := strings.Index(text, "panic:"); i >= 0 {
			text = text[i:]
		}
		t.Errorf("the process ended: %v\n%.700s", err, text)
	}
}

// A verifier that panics when it is asked again takes the whole process along:
// the Guard calls it in a goroutine of its own. At a handshake it is survived.
func TestRecheckPanics(t *testing.T) {
	inChild(t, func(t *testing.T) {
		var calls atomic.Int32
		v := usher.VerifierFunc(func(context.Context, usher.Credential) (*usher.Identity, error) {
			if calls.Add(1) > 1 {
				panic("a nil map of the verifier's")
			}
			return &usher.Identity{Subject: "alice", Expires: time.Now().Add(2 * time.Second), Recheck: true}, nil
		})
		s := guard(t, byBearer(v), idle)
		p := dial(t, s.addr, "")
		p.say(upgrade(s.addr, "/", authorized))
		p.status(http.StatusSwitchingProtocols)
		f := p.receive()
		t.Log(f.Header.OpCode, string(f.Payload))
	})
}

// The same by a late message, behind the standard library's proxy, which reads
// in a goroutine of its own: here a client chooses when.
func TestLateMessagePanics(t *testing.T) {
	inChild(t, func(t *testing.T) {
		backend := httptest.NewServer(&witness{})
		t.Cleanup(backend.Close)
		to, _ := url.Parse(backend.URL)
		v := usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
			if c.Secret.Reveal() == "poison" {
				panic("index out of range")
			}
			if c.Secret.Reveal() != "alice-word" {
				return nil, errors.New("no")
			}
			return &usher.Identity{Subject: "alice"}, nil
		})
		proxy := &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(to) }}
		g := byMessage(v)
		s := guard(t, g, proxy)
		p := dial(t, s.addr, "")
		p.say(upgrade(s.addr, "/", "Origin: http://"+s.addr, "Cookie: session=alice-word"))
		p.status(http.StatusSwitchingProtocols)
		p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"poison"}`))
		f := p.receive()
		t.Log(f.Header.OpCode, string(f.Payload))
	})
}

// A late message whose verifier hangs holds the connection beyond its end: no
// socket may be open later than 3 s after its credential.
func TestLateMessageHangs(t *testing.T) {
	release := make(chan struct{})
	v := usher.VerifierFunc(func(_ context.Context, c usher.Credential) (*usher.Identity, error) {
		if c.Secret.Reveal() == "slow" {
			<-release
		}
		return &usher.Identity{Subject: "alice", Expires: time.Now().Add(time.Second)}, nil
	})
	var ended atomic.Bool
	s := guard(t, byMessage(v), takeover(func(_ *http.Request, c net.Conn) {
		defer c.Close()
		_ = untilEnd(c)
		ended.Store(true)
	}))
	defer close(release)
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", "Origin: http://"+s.addr, "Cookie: session=x"))
	p.status(http.StatusSwitchingProtocols)
	p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"slow"}`))
	f := p.receive()
	if f.Header.OpCode != ws.OpClose {
		t.Fatal(f.Header.OpCode)
	}
	_ = p.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := p.rd.ReadByte(); errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("5 s after the Close frame the socket is still open, the handler ended: %v", ended.Load())
	}
}
