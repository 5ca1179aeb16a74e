package gateway

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A client that takes nothing is dead, whatever it is that it does not take. The
// machine's clock is the test's: synctest's stands still while somebody waits
// for a lock.
func TestPingTakesNothing(t *testing.T) {
	const (
		every = 500 * time.Millisecond
		slack = 10 * time.Second // For a busy machine; a tunnel that does not see it stays for good.
	)
	tests := []struct {
		name  string
		after time.Duration // When the upstream says something.
		says  []byte
		ends  time.Duration
	}{
		{"the Ping", 0, nil, 2 * every},
		{"a frame", 0, ws.MustCompileFrame(ws.NewTextFrame([]byte("hi"))), 2 * every},
		{"a frame before the Ping", every / 2, ws.MustCompileFrame(ws.NewTextFrame([]byte("hi"))), 2 * every},
		{"a frame after the Ping", every * 3 / 2, ws.MustCompileFrame(ws.NewTextFrame([]byte("hi"))), 2 * every},
		{"the upstream's Close", 0, ws.MustCompileFrame(ws.NewCloseFrame(nil)), 2 * every},
	}
	var all sync.WaitGroup // In parallel they would wait for each other.
	for _, tt := range tests {
		for _, idle := range []time.Duration{0, 100 * every, every * 11 / 5} {
			name := fmt.Sprintf("%s, idle %v", tt.name, idle)
			begun := time.Now() // Before the tunnel's clock: it may not end too early.
			p := piped(t, Route{Ping: every, Idle: idle})
			all.Go(func() {
				if tt.says != nil {
					time.Sleep(tt.after)
					// On a busy machine it may come to say it when the tunnel has ended.
					if _, err := p.server.Write(tt.says); err != nil && time.Since(begun) < tt.ends {
						t.Errorf("%s: upstream sends: %v", name, err)
					}
				}
				if f, err := ws.ReadFrame(p.server.rd); err != nil || f.Header.OpCode != ws.OpClose {
					t.Errorf("%s: the upstream got %v, %v, want Close", name, f.Header.OpCode, err)
				}
				if took := time.Since(begun); took < tt.ends || took > tt.ends+slack {
					t.Errorf("%s: the upstream was told after %v, want %v", name, took, tt.ends)
				}
				p.server.Close()
				<-p.done
				if took := time.Since(begun); took > tt.ends+closeTime+slack {
					t.Errorf("%s: the tunnel ended after %v, want %v at most", name, took, tt.ends+closeTime)
				}
			})
		}
	}
	all.Wait()
}
