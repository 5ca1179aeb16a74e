package engine_test

import (
	"encoding/binary"
	"log/slog"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/engine"
)

// BenchmarkSpend spends a new id each time: alone, and 64 at once, as
// handshakes do that do not wait for each other.
func BenchmarkSpend(b *testing.B) {
	for _, bb := range []struct {
		name string
		keep time.Duration // In memory there are so many that they must end.
		o    func() engine.Options
	}{
		{"memory", 100 * time.Millisecond, func() engine.Options { return engine.Options{Memory: true} }},
		{"embedded", 90 * time.Second, func() engine.Options { return engine.Options{Data: b.TempDir()} }},
	} {
		o := bb.o()
		o.Log = slog.New(slog.DiscardHandler)
		e, err := engine.Open(b.Context(), o)
		if err != nil {
			b.Fatal(err)
		}
		var next atomic.Uint64
		spend := func(b *testing.B) {
			var id [16]byte
			binary.BigEndian.PutUint64(id[:], next.Add(1))
			if err := e.Spend(b.Context(), id, time.Now().Add(bb.keep)); err != nil {
				b.Error(err)
			}
		}
		b.Run(bb.name+"/alone", func(b *testing.B) {
			for b.Loop() && !b.Failed() {
				spend(b)
			}
		})
		b.Run(bb.name+"/64", func(b *testing.B) {
			b.SetParallelism(64 / runtime.GOMAXPROCS(0))
			b.RunParallel(func(p *testing.PB) {
				for p.Next() && !b.Failed() {
					spend(b)
				}
			})
		})
		if err := e.Close(); err != nil {
			b.Fatal(err)
		}
	}
}
