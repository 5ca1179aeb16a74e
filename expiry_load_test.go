package usher_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestExpiryUnderLoad has 2,000 connections expire within one second, while all
// of their handlers write. Each client sees whole frames and then the Close, and
// no byte of a connection comes later than a second after its expiry. The clock
// is the bubble's, which stands still while a goroutine has work to do: what is
// late here has waited for another connection, or for a timer, on any machine.
func TestExpiryUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		var s usher.Sessions
		g := byMint(&s, "/chat")
		h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, _, _, err := ws.UpgradeHTTP(r, w)
			if err != nil {
				t.Errorf("upgrade: %v", err)
				return
			}
			defer c.Close()
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				if _, err := c.Write(textFrame("still here")); err != nil {
					return
				}
				select {
				case <-tick.C:
				case <-r.Context().Done():
					return
				}
			}
		})
		begun := time.Now().Add(time.Second)
		late := make([]time.Duration, n)
		var all sync.WaitGroup
		for i := range n {
			id := loggedIn(fmt.Sprint("user ", i), "")
			p := join(t, g, h, id)
			id.Expires = begun.Add(time.Duration(i) * time.Second / n)
			if got, err := s.Renew(t.Context(), &id); got != 1 || err != nil {
				t.Fatalf("got %d, %v, want connection %d renewed", got, err, i)
			}
			all.Go(func() {
				pause := time.Duration(0)
				if i%100 == 0 { // It holds up nobody.
					pause = 2 * time.Second
				}
				last, err := p.untilClose(pause)
				late[i] = last.Sub(id.Expires)
				if err != nil || late[i] < 0 || late[i] > grace {
					t.Errorf("connection %d: got its last byte %v after the expiry, %v; want at most %v", i, late[i], err, grace)
				}
			})
		}
		all.Wait()
		slices.Sort(late)
		t.Logf("last byte after the expiry: median %v, p99 %v, most %v", late[n/2], late[n*99/100], late[n-1])
	})
}

// untilClose reads messages until the Close that says "expired", answers that
// after a pause, and returns when the last byte came.
func (p *peer) untilClose(pause time.Duration) (time.Time, error) {
	for {
		f, err := ws.ReadFrame(p.rd)
		last := time.Now()
		switch {
		case err != nil:
			return last, err
		case f.Header.OpCode == ws.OpText && string(f.Payload) == "still here":
			continue
		case f.Header.OpCode != ws.OpClose || binary.BigEndian.Uint16(f.Payload) != usher.CloseUnauthenticated ||
			!strings.HasPrefix(string(f.Payload[2:]), "expired "):
			return last, fmt.Errorf("got frame %v %q, want a Close 4401 expired", f.Header.OpCode, f.Payload)
		}
		time.Sleep(pause)
		if err := ws.WriteFrame(p, ws.MaskFrame(f)); err != nil {
			return last, err
		}
		if b, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
			return last, fmt.Errorf("got %x, %w after the Close, want EOF", b, err)
		}
		return last, nil
	}
}
