package usher_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
)

// transcript is a handler that passes on what it reads, byte for byte, until
// the end.
func transcript(read chan<- []byte) takeover {
	return func(_ *http.Request, c net.Conn) {
		defer close(read)
		defer c.Close()
		var buf [1 << 10]byte
		for {
			n, err := c.Read(buf[:])
			if n > 0 {
				read <- bytes.Clone(buf[:n])
			}
			if err != nil {
				return
			}
		}
	}
}

// copied is transcript by way of io.Copy.
func copied(read chan<- []byte) takeover {
	return func(_ *http.Request, c net.Conn) {
		defer close(read)
		defer c.Close()
		_, _ = io.Copy(chunks(read), c)
	}
}

type chunks chan<- []byte

func (c chunks) Write(p []byte) (int, error) {
	c <- bytes.Clone(p)
	return len(p), nil
}

// masked is a client's frame.
func masked(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrameWith(f, [4]byte{1, 2, 3, 4})) }

const cookie = "Cookie: session=alice-word"

// admit connects by cookie to a Guard that takes first messages too.
func admit(t *testing.T, next http.Handler) (*peer, <-chan struct{}) {
	t.Helper()
	p, done := overPipe(t, byMessage(known), next, "Origin: http://example.com", cookie)
	p.status(http.StatusSwitchingProtocols)
	return p, done
}

// TestLateMessageSwallowed judges a second credential of the same subject,
// answers it, and keeps it from the handler, also if it comes byte by byte.
func TestLateMessageSwallowed(t *testing.T) {
	auth := masked(ws.NewTextFrame([]byte(`{"type":"auth","token":"alice-other","ack":true}`)))
	next := masked(ws.NewTextFrame([]byte(`{"type":"auth","token":"the second is no first message"}`)))
	for name, size := range map[string]int{"whole": 1 << 10, "single bytes": 1, "sevens": 7} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := make(chan []byte, 1<<10)
				p, done := admit(t, transcript(read))
				go func() {
					for piece := range slices.Chunk(slices.Concat(auth, next), size) {
						_, _ = p.Write(piece)
					}
				}()
				var ack map[string]any
				if err := json.Unmarshal(p.receive().Payload, &ack); err != nil || ack["type"] != "auth_ok" || ack["session"] == "" || ack["expires_in"] != 86400. {
					t.Errorf("got the answer %v, %v, want auth_ok with session and expires_in", ack, err)
				}
				synctest.Wait()
				p.Close()
				<-done
				var got []byte
				for b := range read {
					got = append(got, b...)
				}
				if !bytes.Equal(got, next) {
					t.Errorf("got %q at the handler, want the second message alone", got)
				}
			})
		})
	}
}

// TestLateMessageRefused ends a connection whose first message is a credential
// of somebody else's, or of nobody's.
func TestLateMessageRefused(t *testing.T) {
	tests := []struct {
		name, message string
		code          int
		word          string
	}{
		{"another subject", `{"type":"auth","token":"bob-word"}`, 4403, "forbidden"},
		{"invalid", `{"type":"auth","token":"wrong"}`, 4401, "unauthenticated"},
		{"expired", `{"type":"auth","token":"old-word"}`, 4401, "expired"},
		{"unavailable", `{"type":"auth","token":"lost-word"}`, 4503, "unavailable"},
		{"without a token", `{"type":"auth"}`, 4401, "unauthenticated"},
		{"token and ticket", `{"type":"auth","token":"alice-word","ticket":"x"}`, 4403, "forbidden"},
		{"ticket without a carrier", `{"type":"auth","ticket":"x"}`, 4401, "unauthenticated"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				read := make(chan []byte, 16)
				p, done := admit(t, transcript(read))
				p.sendFrame(ws.OpText, []byte(tt.message))
				p.closed(tt.code, tt.word)
				<-done
				for b := range read {
					t.Errorf("got %q at the handler, want nothing", b)
				}
			})
		})
	}
}

// TestLateMessagePasses gives the handler every other first message as it came.
func TestLateMessagePasses(t *testing.T) {
	auth := []byte(`{"type":"auth","token":"bob-word"}`)
	fragment := ws.NewFrame(ws.OpText, false, auth)
	compressed := ws.NewTextFrame(auth)
	compressed.Header.Rsv = ws.Rsv(true, false, false)
	tests := []struct {
		name   string
		stream []byte
	}{
		{"another message", masked(ws.NewTextFrame([]byte(`{"type":"hello"}`)))},
		{"no JSON", masked(ws.NewTextFrame([]byte("hello")))},
		{"no text", masked(ws.NewTextFrame([]byte{0xff, 0xfe}))},
		{"empty", masked(ws.NewTextFrame(nil))},
		{"binary", masked(ws.NewBinaryFrame(auth))},
		{"fragmented", slices.Concat(masked(fragment), masked(ws.NewFrame(ws.OpContinuation, true, nil)))},
		{"compressed", masked(compressed)},
		{"largest", masked(ws.NewTextFrame(bytes.Repeat([]byte{'x'}, 8<<10)))},
		{"oversized", masked(ws.NewTextFrame(bytes.Repeat([]byte{'x'}, 8<<10+1)))},
		{"close", masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, "")))},
		{"unmasked", ws.MustCompileFrame(ws.NewTextFrame(auth))},
		{"length of 2^63", []byte{0x81, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4}},
		{"length of 2^63-1", []byte{0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4}},
		{"no frame", []byte("GET / HTTP/1.1\r\n\r\n")},
		{"half a head", []byte{0x81}},
		{"half a message", masked(ws.NewTextFrame([]byte("halves")))[:9]},
	}
	for _, tt := range tests {
		for size, handler := range map[int]func(chan<- []byte) takeover{1: transcript, 5: copied, 1 << 20: transcript} {
			t.Run(fmt.Sprintf("%s in pieces of %d", tt.name, size), func(t *testing.T) {
				stream := slices.Concat(tt.stream, []byte("what follows"))
				if strings.HasPrefix(tt.name, "half") {
					stream = tt.stream // Then the client is gone.
				}
				passes(t, handler, slices.Chunk(stream, size), stream)
			})
		}
	}
}

// passes sends pieces, and fails the test unless the handler reads want.
func passes(t *testing.T, handler func(chan<- []byte) takeover, pieces iter.Seq[[]byte], want []byte) {
	synctest.Test(t, func(t *testing.T) {
		read := make(chan []byte, 1<<14)
		p, done := admit(t, handler(read))
		for piece := range pieces {
			_, _ = p.Write(piece)
		}
		synctest.Wait()
		p.Close()
		<-done
		var got []byte
		for b := range read {
			got = append(got, b...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("got %d bytes %.60q at the handler, want %d bytes %.60q", len(got), got, len(want), want)
		}
	})
}

// TestLateMessageAfterPing: control frames are no message, so that a credential
// behind one is kept from the handler all the same.
func TestLateMessageAfterPing(t *testing.T) {
	control := slices.Concat(masked(ws.NewPingFrame([]byte("p"))), masked(ws.NewPongFrame(nil)))
	auth := masked(ws.NewTextFrame([]byte(`{"type":"auth","token":"alice-other"}`)))
	next := masked(ws.NewTextFrame([]byte("hello")))
	for _, handler := range []func(chan<- []byte) takeover{transcript, copied} {
		for _, size := range []int{1, 5, 1 << 10} {
			pieces := slices.Chunk(slices.Concat(control, auth, next), size)
			passes(t, handler, pieces, slices.Concat(control, next))
		}
	}
}

// TestLateMessageDeadlines lets the handler's reads time out while the message
// comes in: nothing of it is lost.
func TestLateMessageDeadlines(t *testing.T) {
	for name, message := range map[string]string{
		"swallowed": `{"type":"auth","token":"alice-other"}`, "passed": `{"type":"hello"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				stream := masked(ws.NewTextFrame([]byte(message)))
				end := []byte("end")
				var got []byte
				timeouts := 0
				p, done := admit(t, takeover(func(_ *http.Request, c net.Conn) {
					defer c.Close()
					var buf [64]byte
					for {
						_ = c.SetReadDeadline(time.Now().Add(time.Second))
						n, err := c.Read(buf[:])
						got = append(got, buf[:n]...)
						switch {
						case errors.Is(err, os.ErrDeadlineExceeded):
							timeouts++
						case err != nil:
							return
						}
					}
				}))
				for _, piece := range [][]byte{stream[:1], stream[1:3], stream[3:9], slices.Concat(stream[9:], end)} {
					_, _ = p.Write(piece)
					time.Sleep(2500 * time.Millisecond) // Of the bubble.
				}
				p.Close()
				<-done
				want := end
				if name == "passed" {
					want = slices.Concat(stream, end)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("got %q, want %q", got, want)
				}
				if timeouts < 6 {
					t.Errorf("got %d reads that timed out, want at least 6", timeouts)
				}
			})
		})
	}
}

// TestLateMessageAnswer puts the answer between the handler's messages: not
// into a frame, and not between the fragments of a message.
func TestLateMessageAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := ws.MustCompileFrame(ws.NewFrame(ws.OpText, false, []byte("one ")))
		last := ws.MustCompileFrame(ws.NewFrame(ws.OpContinuation, true, []byte("message")))
		p, done := admit(t, takeover(func(_ *http.Request, c net.Conn) {
			defer c.Close()
			_, _ = c.Write(first[:3])
			go func() { _ = untilEnd(c) }()
			time.Sleep(time.Second) // Of the bubble.
			_, _ = c.Write(first[3:])
			time.Sleep(time.Second)
			_, _ = c.Write(last)
			time.Sleep(time.Second)
		}))
		go func() {
			_, _ = p.Write(masked(ws.NewTextFrame([]byte(`{"type":"auth","token":"alice-other","ack":true}`))))
		}()
		var got []string
		for range 3 {
			got = append(got, string(p.receive().Payload[:4]))
		}
		if want := []string{"one ", "mess", `{"ty`}; !slices.Equal(got, want) {
			t.Errorf("got frames %q, want %q", got, want)
		}
		<-done
	})
}

// TestLateMessageAfterClose leaves out the answer if the handler has closed:
// nothing may follow a Close frame.
func TestLateMessageAfterClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p, done := admit(t, takeover(func(_ *http.Request, c net.Conn) {
			defer c.Close()
			_, _ = c.Write(ws.MustCompileFrame(ws.NewCloseFrame(ws.NewCloseFrameBody(1000, ""))))
			_ = c.SetReadDeadline(time.Now().Add(time.Second))
			_ = untilEnd(c)
		}))
		if f := p.receive(); f.Header.OpCode != ws.OpClose {
			t.Fatalf("got frame %v, want a Close", f.Header.OpCode)
		}
		p.sendFrame(ws.OpText, []byte(`{"type":"auth","token":"alice-other","ack":true}`))
		if rest, err := io.ReadAll(p.rd); len(rest) > 0 || err != nil {
			t.Errorf("got %q, %v after the Close, want the end", rest, err)
		}
		<-done
	})
}
