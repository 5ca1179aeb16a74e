package usher_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

const lifetime = time.Second

// TestConnPeerAnswers closes TCP as soon as the peer has answered the Close.
func TestConnPeerAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), idle, authorized)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired")
		if got := time.Since(begun); got != time.Second {
			t.Errorf("got the end of the connection after %v, want 1s", got)
		}
		<-done
	})
}

// TestConnPeerSilent gives a peer that does not answer 3 s. Until then it sees
// no half-closed connection either, by which Firefox takes a Close for unclean.
func TestConnPeerSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), idle, authorized)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		if f := p.receive(); f.Header.OpCode != ws.OpClose {
			t.Fatalf("got frame %v, want a Close", f.Header.OpCode)
		}
		if got := time.Since(begun); got != time.Second {
			t.Errorf("got the Close after %v, want 1s", got)
		}
		if _, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
			t.Errorf("got %v after the Close, want EOF", err)
		}
		if got := time.Since(begun); got != 4*time.Second {
			t.Errorf("got the end of the connection after %v, want 4s", got)
		}
		<-done
	})
}

// TestConnPeerFloods has a client that goes on sending, and never answers.
func TestConnPeerFloods(t *testing.T) {
	t.Parallel()
	s := guard(t, byBearer(lasting(lifetime)), idle)
	p := dial(t, s.addr, "")
	begun := time.Now()
	p.say(upgrade(s.addr, "/", authorized))
	p.status(http.StatusSwitchingProtocols)
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		var frame bytes.Buffer
		_ = ws.WriteFrame(&frame, ws.MaskFrame(ws.NewBinaryFrame(make([]byte, 64<<10))))
		for {
			if _, err := p.Write(frame.Bytes()); err != nil {
				return
			}
		}
	}()
	if f := p.receive(); f.Header.OpCode != ws.OpClose {
		t.Errorf("got frame %v, want a Close", f.Header.OpCode)
	}
	<-stopped // The flood breaks when the connection is cut.
	if got := time.Since(begun); got < lifetime+3*time.Second || got > lifetime+3*time.Second+patience/2 {
		t.Errorf("got the flood cut after %v, want 3 s after its %v", got, lifetime)
	}
}

// TestConnCodeArrives leaves 20 kB of the client's unread: a Close that is
// followed by closing at once would be lost to a reset.
func TestConnCodeArrives(t *testing.T) {
	t.Parallel()
	deaf := takeover(func(r *http.Request, c net.Conn) { <-r.Context().Done() })
	g := byBearer(lasting(lifetime))
	s := guard(t, g, deaf)
	var clients sync.WaitGroup
	for range 100 {
		p := dial(t, s.addr, "")
		clients.Go(func() {
			p.say(upgrade(s.addr, "/", authorized))
			p.status(http.StatusSwitchingProtocols)
			p.sendFrame(ws.OpBinary, make([]byte, 20_000))
			p.closed(usher.CloseUnauthenticated, "expired")
		})
	}
	clients.Wait()
}

// TestConnAfterTheEnd has the handler go on as if nothing were.
func TestConnAfterTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), takeover(func(r *http.Request, c net.Conn) {
			if err := untilEnd(c); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v from Read, want net.ErrClosed", err)
			}
			<-r.Context().Done()
			if err := context.Cause(r.Context()); !errors.Is(err, usher.ErrExpired) {
				t.Errorf("got cause %v, want ErrExpired", err)
			}
			time.Sleep(time.Second / 2) // Of the bubble: the Guard waits for the peer's answer now.
			frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("late")))
			if n, err := c.Write(frame); n != len(frame) || err != nil {
				t.Errorf("got %d, %v from Write, want it swallowed", n, err)
			}
			past := time.Unix(1, 0)
			for _, err := range []error{c.SetDeadline(past), c.SetReadDeadline(past), c.SetWriteDeadline(past), c.Close(), c.Close()} {
				if err != nil {
					t.Errorf("got %v after the end, want it swallowed", err)
				}
			}
			if _, err := c.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v from Read after Close, want net.ErrClosed", err)
			}
			time.Sleep(4 * time.Second) // Of the bubble.
			if _, err := c.Write(frame); !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v from Write when all is over, want net.ErrClosed", err)
			}
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		p.receive()
		time.Sleep(time.Second) // The handler is at it while the Close waits for its answer.
		p.sendFrame(ws.OpClose, []byte{3, 0xe8})
		<-done
	})
}

// TestConnDeadlineOfGuard wins over those of the handler, which may be in the
// past already.
func TestConnDeadlineOfGuard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			_ = c.SetDeadline(time.Unix(1, 0))
			<-r.Context().Done()
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		p.closed(usher.CloseUnauthenticated, "expired")
		<-done
	})
}

// TestConnHandlerCloses ends a connection whose handler has sent a Close of its
// own, and waits for the answer: there is no second one.
func TestConnHandlerCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), takeover(func(_ *http.Request, c net.Conn) {
			defer c.Close()
			_, _ = c.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(4999, "mine"))))
			_ = untilEnd(c)
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		if f := p.receive(); f.Header.OpCode != ws.OpClose || string(f.Payload[2:]) != "mine" {
			t.Fatalf("got frame %v %q, want the handler's Close", f.Header.OpCode, f.Payload)
		}
		if rest, err := io.ReadAll(p.rd); len(rest) > 0 || err != nil {
			t.Errorf("got %x, %v after the handler's Close, want the end", rest, err)
		}
		<-done
	})
}

// TestConnHalfAFrame ends a connection whose handler is in the middle of a
// frame: the Close comes when the frame is whole, and not before.
func TestConnHalfAFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("halves")))
		p, done := overPipe(t, byBearer(lasting(time.Second)), takeover(func(r *http.Request, c net.Conn) {
			defer c.Close()
			_, _ = c.Write(frame[:3])
			<-r.Context().Done()
			time.Sleep(time.Second) // Of the bubble.
			for _, p := range [][]byte{frame[3:5], slices.Concat(frame[5:], frame, frame[:3])} {
				if n, err := c.Write(p); n != len(p) || err != nil {
					t.Errorf("got %d, %v from Write, want %d", n, err, len(p))
				}
			}
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		if f := p.receive(); string(f.Payload) != "halves" {
			t.Fatalf("got frame %v %q, want the whole text", f.Header.OpCode, f.Payload)
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		<-done
	})
}

// TestConnFramesWithTheHead writes the answer to the handshake and the beginning
// of a frame at once, which go out so, and the Close comes after the whole frame.
func TestConnFramesWithTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		frame := ws.MustCompileFrame(ws.NewTextFrame([]byte("halves")))
		head := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		var writes writeSizes
		wrap := func(c net.Conn) net.Conn {
			writes.Conn = c
			return &writes
		}
		p, done := overWrapped(t, wrap, byBearer(lasting(time.Second)), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
			_, _ = c.Write(slices.Concat(head, frame, frame[:3]))
			<-r.Context().Done()
			_, _ = c.Write(slices.Concat(frame[3:], frame))
		}), authorized)
		p.status(http.StatusSwitchingProtocols)
		for range 2 {
			if f := p.receive(); string(f.Payload) != "halves" {
				t.Fatalf("got frame %v %q, want the whole text", f.Header.OpCode, f.Payload)
			}
		}
		p.closed(usher.CloseUnauthenticated, "expired")
		<-done
		if got, want := writes.sizes[0], len(head)+len(frame)+3; got != want {
			t.Errorf("got a first write of %d bytes, want %d", got, want)
		}
	})
}

// A writeSizes notes how much is written at once. It is for one writer.
type writeSizes struct {
	net.Conn
	sizes []int
}

func (w *writeSizes) Write(p []byte) (int, error) {
	w.sizes = append(w.sizes, len(p))
	return w.Conn.Write(p)
}

// TestConnFrameNeverWhole has a handler that leaves a frame unfinished: nothing
// can be said, and the connection is closed all the same.
func TestConnFrameNeverWhole(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := overPipe(t, byBearer(lasting(time.Second)), takeover(func(_ *http.Request, c net.Conn) {
			_, _ = c.Write([]byte{0x81, 5, 'h'})
			_ = untilEnd(c)
		}), authorized)
		begun := time.Now()
		p.status(http.StatusSwitchingProtocols)
		rest, err := io.ReadAll(p.rd)
		if string(rest) != "\x81\x05h" || err != nil {
			t.Errorf("got %x, %v, want what the handler wrote and the end", rest, err)
		}
		if got := time.Since(begun); got != 4*time.Second {
			t.Errorf("got the end after %v, want 4s", got)
		}
		<-done
	})
}

// TestConnCopied ends a connection that its handler copies from with io.Copy,
// as httputil.ReverseProxy does, on a socket and in memory.
func TestConnCopied(t *testing.T) {
	t.Parallel()
	ended := make(chan error, 1)
	var got bytes.Buffer
	copied := takeover(func(_ *http.Request, c net.Conn) {
		defer c.Close()
		_, err := io.Copy(&got, c)
		ended <- err
	})
	sent := masked(ws.NewTextFrame([]byte("what the client says")))
	check := func(p *peer) {
		p.status(http.StatusSwitchingProtocols)
		_, _ = p.Write(sent)
		p.closed(usher.CloseUnauthenticated, "expired")
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Errorf("got %v from io.Copy, want net.ErrClosed", err)
		}
		if !bytes.Equal(got.Bytes(), sent) {
			t.Errorf("got %q copied, want %q", got.Bytes(), sent)
		}
		got.Reset()
	}
	s := guard(t, byBearer(lasting(lifetime)), copied)
	p := dial(t, s.addr, "")
	p.say(upgrade(s.addr, "/", authorized))
	check(p)
	p, done := overPipe(t, byBearer(lasting(lifetime)), copied, authorized)
	check(p)
	<-done
}

// A polite connection takes its time to close, unless what is under it is
// closed already: a TLS connection whose last record does not get through.
type polite struct {
	net.Conn
	cut *farewell
}

func (c polite) NetConn() net.Conn { return c.cut }

func (c polite) Close() error {
	select {
	case <-c.cut.at:
	case <-time.After(5 * time.Second):
	}
	return c.Conn.Close()
}

// TestConnNotPolite does not wait for politeness with a peer that had its 3 s,
// and does with one that has answered.
func TestConnNotPolite(t *testing.T) {
	for answers, want := range map[bool]time.Duration{false: 4 * time.Second, true: 6 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			wrap := func(c net.Conn) net.Conn {
				return polite{Conn: c, cut: &farewell{Conn: c, at: make(chan time.Time, 1)}}
			}
			p, done := overWrapped(t, wrap, byBearer(lasting(time.Second)), idle, authorized)
			begun := time.Now()
			p.status(http.StatusSwitchingProtocols)
			p.receive()
			if answers {
				p.sendFrame(ws.OpClose, []byte{3, 0xe8})
			}
			if _, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
				t.Errorf("got %v after the Close, want EOF", err)
			}
			if got := time.Since(begun); got != want {
				t.Errorf("got the end after %v, want %v", got, want)
			}
			<-done
		})
	}
}

// TestConnStuck cuts a connection whose peer reads nothing 3 s after its end,
// also where closing politely would take longer: crypto/tls waits up to 5 s for
// its last record to get through.
func TestConnStuck(t *testing.T) {
	for _, secure := range []bool{false, true} {
		t.Run(fmt.Sprintf("tls %v", secure), func(t *testing.T) {
			t.Parallel()
			cut := make(chan time.Time, 1)
			note := func(c net.Conn) net.Conn { return &farewell{Conn: c, at: cut} }
			h := byBearer(lasting(lifetime)).Handler(takeover(func(_ *http.Request, c net.Conn) {
				frame := ws.MustCompileFrame(ws.NewBinaryFrame(make([]byte, 1<<20)))
				for {
					if _, err := c.Write(frame); err != nil {
						return
					}
				}
			}))
			begun := time.Now()
			if secure {
				s := serveTLS(t, h, note)
				config := s.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
				config.ServerName = "example.com"
				p := dial(t, s.Listener.Addr().String(), "")
				p = newPeer(t, tls.Client(p.Conn, config))
				p.say(upgrade("example.com", "/", authorized))
				p.status(http.StatusSwitchingProtocols)
			} else {
				s := serveWrapped(t, h, note)
				p := dial(t, s.Listener.Addr().String(), "")
				p.say(upgrade("example.com", "/", authorized))
				p.status(http.StatusSwitchingProtocols)
			}
			if got := (<-cut).Sub(begun); got < lifetime+3*time.Second || got > lifetime+3*time.Second+patience/2 {
				t.Errorf("got the connection cut after %v, want 3 s after its %v", got, lifetime)
			}
		})
	}
}

// A farewell notes when its connection is closed for the first time.
type farewell struct {
	net.Conn
	at   chan time.Time
	once sync.Once
}

func (f *farewell) Close() error {
	err := f.Conn.Close()
	f.once.Do(func() { f.at <- time.Now() })
	return err
}
