package server

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/socket"
)

// patience bounds every wait of a test for something that should come at once.
const patience = 10 * time.Second

// A hall is arrivals with net/http behind them, and a handler that tells what the
// request was.
type hall struct {
	*arrivals
	byArrival, byHTTP atomic.Int32 // How many requests each has served.
}

// tells takes a connection over, and says what came.
func tells(w http.ResponseWriter, r *http.Request) {
	c, buf, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	defer c.Close()
	early := make([]byte, buf.Reader.Buffered())
	_, _ = io.ReadFull(buf, early)
	fmt.Fprintf(c, "%s %s %s %v, early %q", r.Method, r.RequestURI, r.Host, r.Header, early)
}

func newHall(t testing.TB) *hall {
	t.Helper()
	l, err := socket.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	h := &hall{}
	srv := (&Server{kept: &kept{log: slog.New(slog.DiscardHandler)}}).newHTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !lend(w, r) {
			h.byHTTP.Add(1)
			tells(w, r)
		}
	}))
	srv.ConnContext = withConn
	h.arrivals = newArrivals(l, srv, func(w http.ResponseWriter, r *http.Request) {
		h.byArrival.Add(1)
		tells(w, r)
	})
	h.visitors, h.crew = &visitors{}, newCrew()
	var running sync.WaitGroup
	running.Go(h.run)
	running.Go(func() { _ = srv.Serve(h) })
	t.Cleanup(func() {
		_ = srv.Close()
		h.visitors.cut()
		h.crew.stop()
		running.Wait()
	})
	return h
}

// enter connects to the hall.
func (h *hall) enter(t testing.TB) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", h.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return c.(*net.TCPConn)
}

func write(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// TestHeadInTwo has heads come in two pieces, cut at every byte, with a frame
// behind them: they are served as if they were whole, and by the same.
func TestHeadInTwo(t *testing.T) {
	h := newHall(t)
	text := plain.head()
	whole := h.enter(t)
	write(t, whole, text)
	want, err := io.ReadAll(whole)
	if err != nil || !bytes.Contains(want, []byte("websocket")) {
		t.Fatalf("got %q, %v", want, err)
	}
	conns := make([]*net.TCPConn, len(text))
	for at := range conns { // All first pieces are there before the first second one.
		conns[at] = h.enter(t)
		write(t, conns[at], text[:at])
	}
	for at, c := range conns {
		write(t, c, text[at:])
	}
	for at, c := range conns {
		if got, err := io.ReadAll(c); err != nil || !bytes.Equal(got, want) {
			t.Errorf("in two at %d: got %q, %v, want %q", at, got, err, want)
		}
		c.Close()
	}
	if n := h.byArrival.Load(); int(n) != len(text)+1 {
		t.Errorf("got %d handshakes served before net/http, want %d", n, len(text)+1)
	}
}

// TestHeadThatEnds has the client end its half at every byte of a head: what it is
// told is what net/http says.
func TestHeadThatEnds(t *testing.T) {
	h := newHall(t)
	std := httptest.NewServer(http.HandlerFunc(tells))
	defer std.Close()
	text := plain.head()
	answer := func(addr, text string) string {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		c.SetDeadline(time.Now().Add(patience))
		write(t, c, text)
		c.(*net.TCPConn).CloseWrite()
		all, err := io.ReadAll(c)
		return fmt.Sprintf("%q, %v", all, err)
	}
	for at := range len(text) + 1 {
		if got, want := answer(h.Addr().String(), text[:at]), answer(std.Listener.Addr().String(), text[:at]); got != want {
			t.Errorf("ends at %d: got %s, want %s", at, got, want)
		}
	}
}

// TestHeadThatNeverComes: whoever says nothing, or stops within the head, is let go
// of after the time that a head has, and is not held by a byte now and then. The
// time is nearly over when the test begins.
func TestHeadThatNeverComes(t *testing.T) {
	h := newHall(t)
	l, err := socket.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const left = 100 * time.Millisecond
	for _, tt := range []struct {
		said  string
		drips bool
	}{{"", false}, {"G", false}, {"GET /chat HTTP/1.1\r\nHost: x\r\n", false}, {"GET /" + strings.Repeat("a", 3*roomSize), false}, {"GET /", true}, {"X", true}} {
		near, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		near.SetDeadline(time.Now().Add(patience))
		write(t, near, tt.said)
		far, err := l.AcceptConn()
		if err != nil {
			t.Fatal(err)
		}
		a := &arrival{at: h.arrivals, conn: far, visitor: &visitor{conn: far}, begun: time.Now().Add(left - headTime)}
		h.visitors.let(a.visitor)
		began := time.Now()
		h.crew.start(a.serve)
		if tt.drips {
			go func() {
				for err := error(nil); err == nil; time.Sleep(left / 10) {
					_, err = io.WriteString(near, "a")
				}
			}()
		}
		_, err = io.Copy(io.Discard, near)
		if took := time.Since(began); errors.Is(err, os.ErrDeadlineExceeded) || took > headTime/2 {
			t.Errorf("%.30q, drips %t: got %v after %v, want the end after %v", tt.said, tt.drips, err, took, left)
		}
		near.Close()
	}
	for until := time.Now().Add(patience); h.visitors.count() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			t.Fatalf("%d are still there", h.visitors.count())
		}
	}
	if n := h.byArrival.Load() + h.byHTTP.Load(); n > 0 {
		t.Errorf("got %d requests, want none", n)
	}
}
