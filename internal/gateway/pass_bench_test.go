package gateway

import (
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A drop is a connection that takes everything.
type drop struct{ net.Conn }

func (drop) Write(p []byte) (int, error) { return len(p), nil }

// BenchmarkPass measures what the tunnel itself does for a piece, without the
// network: for one message of 100 bytes, and for 300 of them.
func BenchmarkPass(b *testing.B) {
	for _, tt := range []struct {
		name  string
		count int
	}{{"message", 1}, {"300 messages", 300}} {
		var in, out []byte
		for range tt.count {
			in = append(in, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, 100))))...)
			out = append(out, ws.MustCompileFrame(ws.NewTextFrame(make([]byte, 100)))...)
		}
		t := &tunnel{
			client: drop{}, up: drop{}, begun: time.Now(),
			fromClient: newChecker(ws.StateServerSide, nil), fromServer: newChecker(ws.StateClientSide, nil),
		}
		t.pings.begin(time.Hour)
		t.fromClient.pings = &t.pings
		b.Run(tt.name+" to upstream", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if _, err := (*upstreamWriter)(t).Write(in); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(tt.name+" to client", func(b *testing.B) {
			b.ReportAllocs()
			for range b.N {
				if err := t.pass(out); err != nil {
					b.Fatal(err)
				}
				t.passed()
			}
		})
	}
}
