package gateway_test

import (
	"bytes"
	"crypto/rand"
	"flag"
	"hash/maphash"
	"io"
	mathrand "math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

var streams = flag.Uint64("streams", 24, "rounds of TestTunnelStreams, of 64 MiB each way")

// noise is what payloads are made of.
var noise = sync.OnceValue(func() []byte {
	b := make([]byte, 4<<20)
	_, _ = rand.Read(b) // It does not fail (see its documentation).
	return b
})

// A plan is a sequence of frames that is in order, as its heads and the parts
// of noise behind them.
type plan struct {
	seed  uint64
	heads [][]byte
	parts [][]byte
	size  int64
}

// planned makes a plan of at least size bytes: messages of one frame and of
// several, control frames between and within them, compressed ones, and
// payloads around every change in the form of a head.
func planned(seed uint64, size int64, masked bool) plan {
	rng := mathrand.New(mathrand.NewPCG(seed, 1))
	pl := plan{seed: seed}
	edges := []int{0, 1, 125, 126, 127, 0xffff, 0x10000, 32 << 10, 32<<10 + 1}
	within := false
	for pl.size < size || within {
		h := ws.Header{Fin: rng.IntN(3) > 0, OpCode: ws.OpBinary, Masked: masked}
		n := edges[rng.IntN(len(edges))]
		switch rng.IntN(8) {
		case 0:
			n = rng.IntN(2 << 20)
		case 1, 2, 3:
			n = rng.IntN(4096)
		}
		switch {
		case rng.IntN(8) == 0:
			h.Fin, h.OpCode, n = true, ws.OpPing, rng.IntN(126)
		case within:
			h.OpCode = ws.OpContinuation
			within = !h.Fin
		default:
			within = !h.Fin
			if rng.IntN(2) == 0 {
				h.Rsv = 4 // permessage-deflate
			}
		}
		h.Length = int64(n)
		if masked {
			for i := range h.Mask {
				h.Mask[i] = byte(rng.Uint32())
			}
		}
		var head bytes.Buffer
		if err := ws.WriteHeader(&head, h); err != nil {
			panic(err) // A buffer takes everything.
		}
		from := rng.IntN(len(noise()) - n)
		pl.heads, pl.parts = append(pl.heads, head.Bytes()), append(pl.parts, noise()[from:from+n])
		pl.size += int64(head.Len() + n)
	}
	return pl
}

// send writes the plan to w in pieces of random size, and returns its hash.
func (pl plan) send(w io.Writer, seed maphash.Seed) (uint64, error) {
	rng := mathrand.New(mathrand.NewPCG(pl.seed, 2))
	var sum maphash.Hash
	sum.SetSeed(seed)
	buf := make([]byte, 0, 1<<20)
	limit := 0
	flush := func() error {
		for len(buf) > 0 {
			n := len(buf)
			switch rng.IntN(4) {
			case 0:
				n = min(n, 1+rng.IntN(20)) // In the middle of a head, as often as not.
			case 1:
				n = min(n, 1+rng.IntN(5000))
			}
			_, _ = sum.Write(buf[:n])
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
			buf = append(buf[:0], buf[n:]...)
			if len(buf) < limit {
				break
			}
		}
		return nil
	}
	for i, head := range pl.heads {
		for _, part := range [][]byte{head, pl.parts[i]} {
			for len(part) > 0 {
				n := min(len(part), cap(buf)-len(buf))
				buf, part = append(buf, part[:n]...), part[n:]
				if limit = rng.IntN(100_000); len(buf) >= limit {
					if err := flush(); err != nil {
						return 0, err
					}
				}
			}
		}
	}
	limit = 0
	err := flush()
	return sum.Sum64(), err
}

// receive reads as many bytes from r as the plan has, and returns their hash.
func (pl plan) receive(r io.Reader, seed maphash.Seed) (uint64, error) {
	var sum maphash.Hash
	sum.SetSeed(seed)
	_, err := io.CopyN(&sum, r, pl.size)
	return sum.Sum64(), err
}

// Whatever the sizes of frames, fragments and writes, each side gets the bytes
// that the other sent.
func TestTunnelStreams(t *testing.T) {
	rounds, each := *streams, int64(64<<20)
	if testing.Short() {
		rounds, each = 2, 8<<20
	}
	base := mathrand.Uint64()
	t.Logf("seed %d", base)
	conns := make(chan net.Conn)
	b := raw(t, func(c net.Conn, head string) {
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		_, _ = io.WriteString(c, switched(head, "Sec-WebSocket-Extensions: permessage-deflate"))
		conns <- c
		<-conns
	})
	g := open(t, target(t, "ws://"+b.addr))
	var total int64
	for round := range rounds {
		p, _ := connect(t, g.addr, "/chat", "Sec-WebSocket-Extensions: permessage-deflate")
		_ = p.SetDeadline(time.Now().Add(time.Minute))
		up := <-conns
		in, out := planned(base+2*round, each, true), planned(base+2*round+1, each, false)
		total += in.size + out.size
		seed := maphash.MakeSeed()
		var wg sync.WaitGroup
		var sums [4]uint64
		var errs [4]error
		for i, work := range []func() (uint64, error){
			func() (uint64, error) { return in.send(p, seed) },
			func() (uint64, error) { return in.receive(up, seed) },
			func() (uint64, error) { return out.send(up, seed) },
			func() (uint64, error) { return out.receive(p.rd, seed) },
		} {
			wg.Go(func() { sums[i], errs[i] = work() })
		}
		wg.Wait()
		for i, err := range errs {
			if err != nil {
				t.Errorf("round %d, %d: %v", round, i, err)
			}
		}
		if sums[0] != sums[1] || sums[2] != sums[3] {
			t.Errorf("round %d: got other bytes than were sent", round)
		}
		conns <- nil
		p.Close()
		if t.Failed() {
			return
		}
	}
	t.Logf("%d MiB passed", total>>20)
}
