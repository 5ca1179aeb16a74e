package gateway_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// BenchmarkTunnel measures what passes through a tunnel on loopback: messages
// one at a time, there and back, and large ones one way as fast as they go.
func BenchmarkTunnel(b *testing.B) {
	conns := make(chan net.Conn)
	up := raw(b, func(c net.Conn, head string) {
		_ = c.SetDeadline(time.Now().Add(10 * time.Minute))
		_, _ = io.WriteString(c, switched(head))
		conns <- c
		<-conns
	})
	for _, tt := range []struct {
		name string
		run  func(b *testing.B, client, server net.Conn)
	}{
		{"message", roundTrips},
		{"bytes to upstream", func(b *testing.B, client, server net.Conn) { stream(b, client, server, true) }},
		{"bytes to client", func(b *testing.B, client, server net.Conn) { stream(b, server, client, false) }},
	} {
		b.Run(tt.name, func(b *testing.B) {
			g := open(b, target(b, "ws://"+up.addr))
			p, _ := connect(b, g.addr, "/chat")
			_ = p.SetDeadline(time.Now().Add(10 * time.Minute))
			s := <-conns
			b.ReportAllocs()
			b.ResetTimer()
			tt.run(b, p.Conn, s)
			b.StopTimer()
			p.Close()
			conns <- nil
		})
	}
}

func roundTrips(b *testing.B, client, server net.Conn) {
	b.Helper()
	in := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(make([]byte, 100))))
	out := ws.MustCompileFrame(ws.NewTextFrame(make([]byte, 100)))
	buf := make([]byte, len(in))
	for range b.N {
		if _, err := client.Write(in); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(server, buf[:len(in)]); err != nil {
			b.Fatal(err)
		}
		if _, err := server.Write(out); err != nil {
			b.Fatal(err)
		}
		if _, err := io.ReadFull(client, buf[:len(out)]); err != nil {
			b.Fatal(err)
		}
	}
}

// stream sends messages of 1,000 bytes, many in one write.
func stream(b *testing.B, from, to net.Conn, masked bool) {
	b.Helper()
	f := ws.NewBinaryFrame(make([]byte, 1000))
	if masked {
		f = ws.MaskFrame(f)
	}
	one := ws.MustCompileFrame(f)
	var chunk []byte
	for range 64 {
		chunk = append(chunk, one...)
	}
	b.SetBytes(int64(len(chunk)))
	failed := make(chan error, 1)
	go func() {
		for range b.N {
			if _, err := from.Write(chunk); err != nil {
				failed <- err
				return
			}
		}
		failed <- nil
	}()
	if _, err := io.CopyN(io.Discard, to, int64(b.N)*int64(len(chunk))); err != nil {
		b.Fatal(err)
	}
	if err := <-failed; err != nil {
		b.Fatal(err)
	}
}
