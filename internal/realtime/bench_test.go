package realtime

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/hub"
)

// A sink is a client that takes everything at once, and counts the writes.
type sink struct {
	net.Conn
	writes atomic.Int64
}

func (s *sink) Write(p []byte) (int, error) {
	s.writes.Add(1)
	return len(p), nil
}
func (*sink) SetWriteDeadline(time.Time) error { return nil }
func (*sink) Close() error                     { return nil }

// BenchmarkOneToOne is what a message costs from a publisher's bytes to those of
// its subscriber and its acknowledgment, without the network: many channels of
// two, eight messages at once in each.
func BenchmarkOneToOne(b *testing.B) {
	for _, channels := range []int{1, 1000} {
		b.Run(fmt.Sprint(channels), func(b *testing.B) { oneToOne(b, channels) })
	}
}

func oneToOne(b *testing.B, channels int) {
	const atOnce = 8
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	defer h.Close()
	app := h.SetApp("app", hub.AppOptions{Limits: hub.Limits{Rate: -1, ChannelRate: -1}})
	s := New(Options{})
	defer s.writers.close()
	may, err := usher.NewPermissions("", `{"*":["*"]}`)
	if err != nil {
		b.Fatal(err)
	}
	var sinks []*sink
	client := func() *transport {
		g := &Grant{App: app, ClientID: "*", Permissions: may}
		st, err := s.begin(g)
		if err != nil {
			b.Fatal(err)
		}
		sinks = append(sinks, new(sink))
		t := newTransport(b.Context(), s, sinks[len(sinks)-1], nil, settings{echo: true}, st)
		t.grant.Store(g)
		return t
	}
	publishers, said, padded := make([]*transport, channels), make([]int, channels), make([]string, channels)
	for i := range publishers {
		padded[i] = fmt.Sprintf("%04d", i)
		publishers[i] = client()
		if _, err := client().hear(frameOf(fmt.Sprintf(`{"action":10,"channel":"pair-%04d"}`, i))); !errors.Is(err, errGrown) {
			b.Fatal(err)
		}
	}
	var all []byte
	at := make([]int, atOnce) // Where the serials are in it.
	for i := range at {
		text := fmt.Sprintf(`{"action":15,"channel":"pair-0000","msgSerial":1000000,"messages":[{"data":%q}]}`, strings.Repeat("0123456789abcdef", 8))
		all = append(all, frameOf(text)...)
		at[i] = bytes.LastIndex(all, []byte("1000000"))
	}
	names := bytes.Index(all, []byte("0000"))
	b.ReportAllocs()
	b.ResetTimer()
	for n := 0; n < b.N; n += atOnce {
		i := n / atOnce % channels
		for j, k := range at {
			copy(all[k:], strconv.Itoa(1_000_000+said[i]))
			copy(all[names+j*(len(all)/atOnce):], padded[i])
			said[i]++
		}
		if _, err := publishers[i].hear(all); err != nil {
			b.Fatal(err)
		}
		if i == channels-1 {
			settle(s.writers)
		}
	}
	settle(s.writers)
	b.StopTimer()
	var writes int64
	for _, one := range sinks {
		writes += one.writes.Load()
	}
	b.ReportMetric(float64(writes)/float64(b.N), "writes/op")
	if c := app.Counts(); c.Delivered != c.Published {
		b.Fatalf("got %d delivered of %d", c.Delivered, c.Published)
	}
	for _, t := range publishers {
		s.forget(t.state, t)
	}
}

// frameOf is a frame with a mask of zeros.
func frameOf(text string) []byte {
	return ws.MustCompileFrame(ws.MaskFrameWith(ws.NewTextFrame([]byte(text)), [4]byte{}))
}

// settle waits until nobody writes.
func settle(w *writers) {
	for {
		w.mu.Lock()
		n := w.working
		w.mu.Unlock()
		if n == 0 {
			return
		}
		runtime.Gosched()
	}
}
