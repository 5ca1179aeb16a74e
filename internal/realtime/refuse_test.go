package realtime_test

import (
	"context"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/hub"
)

// Who comes to a server that is about to stop is told to come back.
func TestRefusedAsItStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		s.server.Close()
		c := s.connect(t, "access_token=alice", false)
		if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":6`) || !strings.Contains(got, `"code":80003`) {
			t.Errorf("got %s, want DISCONNECTED with 80003", got)
		}
		if got := c.end(); got != "1000" {
			t.Errorf("got end %q, want 1000", got)
		}
	})
}

// Who is refused for now is told so after a while, since some come again at once;
// and there is a bound to how many wait.
func TestRefusedForNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Connections: 1})
		s.connect(t, "access_token=alice", false).next(false)
		var late []*client
		for range 1000 {
			late = append(late, s.connect(t, "access_token=bob", false))
		}
		near, far := net.Pipe()
		t.Cleanup(func() { _ = near.Close() })
		go func() { s.listener.conns <- far }()
		d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
		if _, _, _, err := d.Dial(t.Context(), "ws://test/?access_token=bob"); err == nil || !strings.Contains(err.Error(), "503") {
			t.Errorf("got %v at the bound, want 503", err)
		}
		time.Sleep(1999 * time.Millisecond)
		if got := late[0].next(false); got != nil {
			t.Errorf("got %s at once", jsonOf(got))
		}
		time.Sleep(time.Millisecond)
		for _, c := range late {
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":6`) || !strings.Contains(got, `"code":42910`) {
				t.Fatalf("got %s, want DISCONNECTED with 42910", got)
			}
		}
		again := s.connect(t, "access_token=bob", false)
		_ = again.conn.Close() // Who has gone is not waited for.
		synctest.Wait()
	})
}

// What strangers send who are refused is not held.
func TestRefusedHoldsNothing(t *testing.T) {
	const clients, each = 16, 400_000 // As many as are told why at a time.
	s := newSite(t, hub.Limits{})
	begun := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, each+1))))
	begun = begun[:len(begun)-1]
	used := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := used()
	for range clients {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = near.Close() })
		s.listener.conns <- far
		d := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return near, nil }}
		_, early, _, err := d.Dial(t.Context(), "ws://test/?access_token=stranger")
		if err != nil {
			t.Fatal(err)
		}
		in := io.Reader(near)
		if early != nil { // They may come with the answer to the handshake.
			in = io.MultiReader(early, near)
		}
		for range 2 { // The refusal and the Close frame.
			if _, err := ws.ReadFrame(in); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := near.Write(begun); err != nil {
			t.Fatal(err)
		}
	}
	if held := used() - before; held > clients*each/4 {
		t.Errorf("got %d bytes held for %d clients that have sent %d each", held, clients, each)
	}
}
