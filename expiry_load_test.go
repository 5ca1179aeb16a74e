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
	"time"

	"github.com/gobwas/ws"
	"github.com/usher-ws/usher"
)

// TestExpiryUnderLoad has 2,000 connections expire within one second, while all
// of their handlers write. Each client sees whole frames and then the Close, and
// no byte of a connection comes later than a second after its expiry.
func TestExpiryUnderLoad(t *testing.T) {
	const n = 2000
	machine, measured := new(lateness), make(chan struct{})
	go machine.measure(measured)
	defer close(measured)
	var s usher.Sessions
	srv := guard(t, byMint(&s, "/chat"), http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
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
	}))
	peers, ids := openAll(t, srv, n)
	begun := time.Now().Add(time.Second)
	expires := make([]time.Time, n)
	for i := range ids {
		expires[i] = begun.Add(time.Duration(i) * time.Second / n)
		ids[i].Issued, ids[i].Expires = time.Now(), expires[i]
		if got, err := s.Renew(t.Context(), &ids[i]); got != 1 || err != nil {
			t.Fatalf("got %d, %v, want connection %d renewed", got, err, i)
		}
	}
	late := make([]time.Duration, n)
	var all sync.WaitGroup
	for i, p := range peers {
		_ = p.SetDeadline(time.Now().Add(3 * patience))
		all.Go(func() {
			last, err := p.untilClose()
			late[i] = last.Sub(expires[i])
			if err != nil || late[i] < 0 || late[i] > machine.grace() {
				t.Errorf("connection %d: got its last byte %v after the expiry, %v; want at most %v", i, late[i], err, machine.grace())
			}
		})
	}
	all.Wait()
	slices.Sort(late)
	t.Logf("last byte after the expiry: median %v, p99 %v, most %v; the machine was up to %v late",
		late[n/2], late[n*99/100], late[n-1], time.Duration(machine.Load()))
	srv.idle(t)
}

// openAll opens n connections, each of a subject of its own.
func openAll(t *testing.T, srv *server, n int) ([]*peer, []usher.Identity) {
	peers, ids := make([]*peer, n), make([]usher.Identity, n)
	var all sync.WaitGroup
	for first := range 20 {
		all.Go(func() {
			for i := first; i < n; i += 20 {
				ids[i] = loggedIn(fmt.Sprint("user ", i), "")
				peers[i] = dial(t, srv.addr, "")
				_ = peers[i].SetDeadline(time.Now().Add(6 * patience))
				peers[i].say(upgrade(srv.addr, "/chat", bearing(ids[i])))
				if res, err := http.ReadResponse(peers[i].rd, nil); err != nil || res.StatusCode != http.StatusSwitchingProtocols {
					t.Errorf("got %+v, %v, want 101", res, err)
				}
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return peers, ids
}

// untilClose reads messages until the Close that says "expired", answers that,
// and returns when the last byte came.
func (p *peer) untilClose() (time.Time, error) {
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
		if err := ws.WriteFrame(p, ws.MaskFrame(f)); err != nil {
			return last, err
		}
		if b, err := p.rd.ReadByte(); !errors.Is(err, io.EOF) {
			return last, fmt.Errorf("got %x, %w after the Close, want EOF", b, err)
		}
		return last, nil
	}
}
