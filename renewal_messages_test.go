package usher_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	coder "github.com/coder/websocket"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	gorilla "github.com/gorilla/websocket"
	"github.com/usher-ws/usher"
)

// A line is a handler's end of a WebSocket, by any library.
type line struct {
	read  func() ([]byte, error)
	write func([]byte) error
	close func() error
}

// lines open one, by each library.
var lines = map[string]func(w http.ResponseWriter, r *http.Request) (*line, error){
	"coder": func(w http.ResponseWriter, r *http.Request) (*line, error) {
		c, err := coder.Accept(w, r, nil)
		if err != nil {
			return nil, err
		}
		return &line{
			read:  func() ([]byte, error) { _, b, err := c.Read(r.Context()); return b, err },
			write: func(b []byte) error { return c.Write(r.Context(), coder.MessageBinary, b) }, close: c.CloseNow,
		}, nil
	},
	"gorilla": func(w http.ResponseWriter, r *http.Request) (*line, error) {
		c, err := new(gorilla.Upgrader).Upgrade(w, r, nil)
		if err != nil {
			return nil, err
		}
		return &line{
			read:  func() ([]byte, error) { _, b, err := c.ReadMessage(); return b, err },
			write: func(b []byte) error { return c.WriteMessage(gorilla.BinaryMessage, b) }, close: c.Close,
		}, nil
	},
	"gobwas": func(w http.ResponseWriter, r *http.Request) (*line, error) {
		c, buf, _, err := ws.UpgradeHTTP(r, w)
		if err != nil {
			return nil, err
		}
		rw := struct {
			io.Reader
			io.Writer
		}{buf.Reader, c}
		return &line{
			read:  func() ([]byte, error) { return wsutil.ReadClientBinary(rw) },
			write: func(b []byte) error { return wsutil.WriteServerBinary(c, b) }, close: c.Close,
		}, nil
	},
}

// numbers is how many numbered messages go each way.
const numbers = 100_000

// count reads numbers messages that are numbered from 0, and reports each
// thousandth.
func count(read func() ([]byte, error), passed func()) error {
	for i := range uint64(numbers) {
		b, err := read()
		if err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
		if len(b) != 8 || binary.BigEndian.Uint64(b) != i {
			return fmt.Errorf("got message %x, want number %d", b, i)
		}
		if i%1000 == 999 {
			passed()
		}
	}
	return nil
}

// recite writes as many.
func recite(write func([]byte) error) error {
	for i := range uint64(numbers) {
		if err := write(binary.BigEndian.AppendUint64(nil, i)); err != nil {
			return fmt.Errorf("message %d: %w", i, err)
		}
	}
	return nil
}

// TestRenewedMessages renews a session 100 times while 100,000 numbered messages
// go each way: all arrive, once and in order, in front of each library. At the
// end the connection has outlived the credential that opened it.
func TestRenewedMessages(t *testing.T) {
	for library, open := range lines {
		t.Run(library, func(t *testing.T) {
			t.Parallel()
			var s usher.Sessions
			done := make(chan error, 2)
			g := byMint(&s, "/chat")
			var renewed atomic.Int32
			g.Observe = func(_ context.Context, e usher.Event) {
				if e.Kind == usher.EventRenewed {
					renewed.Add(1)
				}
			}
			srv := guard(t, g, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				l, err := open(w, r)
				if err != nil {
					done <- err
					return
				}
				defer l.close()
				var all sync.WaitGroup
				all.Go(func() { done <- recite(l.write) })
				all.Go(func() { done <- count(l.read, func() {}) })
				all.Wait()
				_, _ = l.read() // Until the client leaves.
			}))
			id := loggedIn("alice", "s1")
			id.Expires = time.Now().Add(4 * time.Second)
			p := dial(t, srv.addr, "")
			_ = p.SetDeadline(time.Now().Add(time.Minute))
			p.say(upgrade(srv.addr, "/chat", bearing(id)))
			p.status(http.StatusSwitchingProtocols)

			out := bufio.NewWriter(p)
			var all sync.WaitGroup
			turns := make(chan struct{}, numbers/1000)
			all.Go(func() {
				err := recite(func(b []byte) error { _, err := out.Write(masked(ws.NewBinaryFrame(b))); return err })
				if err == nil {
					err = out.Flush()
				}
				if err != nil {
					t.Errorf("client writes: %v", err)
				}
			})
			all.Go(func() {
				read := func() ([]byte, error) { f, err := ws.ReadFrame(p.rd); return f.Payload, err }
				if err := count(read, func() { turns <- struct{}{} }); err != nil {
					t.Errorf("client reads: %v", err)
				}
				close(turns)
			})
			all.Go(func() {
				for range turns {
					if n, err := s.Renew(t.Context(), renewedIn(id, 30*time.Second)); n != 1 || err != nil {
						t.Errorf("got %d, %v, want 1 renewed", n, err)
					}
				}
			})
			all.Wait()
			for range 2 {
				if err := <-done; err != nil {
					t.Errorf("handler: %v", err)
				}
			}
			if n := renewed.Load(); n != 100 {
				t.Errorf("got %d renewals, want 100", n)
			}
			for time.Now().Before(id.Expires) {
				<-time.After(time.Until(id.Expires))
			}
			if n := s.Len(); n != 1 {
				t.Errorf("got %d live when the first credential is over, want 1", n)
			}
		})
	}
}
