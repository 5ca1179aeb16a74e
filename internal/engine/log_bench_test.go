package engine_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/hub"
)

// A message is answered and told to who follows its channel. An operation is one:
// of each channel so many are under way.
func BenchmarkLog(b *testing.B) {
	for _, load := range []struct{ channels, underWay int }{{1000, 1}, {1000, 8}, {1, 32}} {
		b.Run(fmt.Sprintf("channels=%d/under_way=%d", load.channels, load.underWay), func(b *testing.B) {
			l, err := engine.OpenLog(b.Context(), engine.Options{Data: b.TempDir()}, engine.LogOptions{})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() {
				if err := l.Close(); err != nil {
					b.Error(err)
				}
			})
			var wg sync.WaitGroup
			b.ReportAllocs()
			begin := make(chan struct{})
			for i := range load.channels {
				name := hub.Name{App: "bench", Channel: fmt.Sprintf("pair-%04d", i)}
				room := make(chan struct{}, 2*load.underWay)
				_, stop, err := l.Follow(b.Context(), name, func(*hub.Entry) { room <- struct{}{} }, func() { b.Error("lost") })
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(stop)
				n := b.N / load.channels
				if i < b.N%load.channels {
					n++
				}
				wg.Go(func() {
					<-begin
					publishTo(b, l, name, room, n, load.underWay)
				})
			}
			b.ResetTimer()
			close(begin)
			wg.Wait()
			b.StopTimer()
		})
	}
}

// publishTo publishes n messages, and waits until all are answered and told.
func publishTo(b *testing.B, l hub.Log, name hub.Name, room chan struct{}, n, underWay int) {
	data := strings.Repeat("x", 128)
	connection := "connection-of-" + name.Channel
	then := func(_ hub.Position, err error) {
		if err != nil {
			b.Error(err)
			room <- struct{}{} // Nobody is told.
		}
		room <- struct{}{}
	}
	out := 0
	for i := range n {
		if out == underWay {
			<-room
			<-room
			out--
		}
		l.Append(&hub.Entry{
			Name: &name, ConnectionID: connection,
			Messages: []hub.Message{{ID: fmt.Sprintf("%s:%d:0", connection, i), Data: data, Form: hub.Text, ConnectionID: connection}},
		}, then)
		out++
	}
	for range 2 * out {
		<-room
	}
}
