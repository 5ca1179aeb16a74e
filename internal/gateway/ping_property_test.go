package gateway

import (
	"bytes"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// A talk is what client and upstream of one tunnel say to each other, at random.
type talk struct {
	*rapid.T
	p *pipe

	said  []byte // By the client, without its answers to the gateway.
	told  []byte // By the upstream.
	left  []byte // Of that, what it has not sent yet.
	parts [2]bool

	mu sync.Mutex
	// Guarded by mu.
	heard    []byte   // By the client, without the gateway's Pings.
	foreign  [][]byte // The upstream's Pings that are on their way.
	theirs   [][]byte // Those that the client has not answered.
	ours     [][]byte // The gateway's that it has not answered.
	prefix   []byte   // Of the gateway's Pings, once known.
	answered int
}

// TestPingProperty: whatever both sides send in whatever pieces, and whenever
// the gateway asks, each side gets what the other sent. Left out are the answers
// to the gateway, and nothing else.
func TestPingProperty(t *testing.T) {
	answered := 0
	rapid.Check(t, func(rt *rapid.T) {
		var stopped any
		synctest.Test(t, func(t *testing.T) {
			defer func() { stopped = recover() }() // Rapid stops a check by a panic, which is for itself.
			k := &talk{T: rt, p: piped(t, Route{Ping: every})}
			k.run()
			answered += k.answered
		})
		if stopped != nil {
			panic(stopped)
		}
	})
	t.Logf("%d Pings answered", answered)
	if answered == 0 {
		t.Error("the gateway never asked")
	}
}

func (k *talk) run() {
	got := k.p.server.recorded()
	go k.listen()
	for range rapid.IntRange(4, 20).Draw(k.T, "steps") {
		k.upstream()
		k.client()
		time.Sleep(rapid.SampledFrom([]time.Duration{0, every - 1, every, every + 1}).Draw(k.T, "pause"))
		synctest.Wait()
	}
	k.p.server.say(k.left)
	k.client()
	synctest.Wait()
	if !bytes.Equal(got.bytes(), k.said) {
		k.Errorf("the upstream got\n%x, want\n%x", got.bytes(), k.said)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if !bytes.Equal(k.heard, k.told) {
		k.Errorf("the client got\n%x, want\n%x", k.heard, k.told)
	}
}

// listen takes note of what the client gets.
func (k *talk) listen() {
	for {
		f, err := ws.ReadFrame(k.p.client.rd)
		if err != nil {
			return
		}
		k.mu.Lock()
		switch ping := f.Header.OpCode == ws.OpPing; {
		case ping && len(k.foreign) > 0 && bytes.Equal(k.foreign[0], f.Payload):
			k.foreign = k.foreign[1:]
			k.theirs = append(k.theirs, f.Payload)
		case ping:
			k.ours = append(k.ours, f.Payload)
			k.prefix = f.Payload[:nonceSize]
			k.mu.Unlock()
			continue
		}
		k.heard = append(k.heard, ws.MustCompileFrame(f)...)
		k.mu.Unlock()
	}
}

// payload is a control frame's. It may look like one of the gateway's.
func (k *talk) payload() []byte {
	n := rapid.OneOf(rapid.Just(pingSize), rapid.IntRange(0, 125)).Draw(k.T, "length")
	b := rapid.SliceOfN(rapid.Byte(), n, n).Draw(k.T, "payload")
	k.mu.Lock()
	defer k.mu.Unlock()
	if rapid.Bool().Draw(k.T, "alike") {
		copy(b, k.prefix[:rapid.IntRange(0, len(k.prefix)).Draw(k.T, "prefix")])
	}
	return b
}

// data is the next frame of a message of one side.
func (k *talk) data(side int) ws.Frame {
	op, fin := ws.OpBinary, rapid.Bool().Draw(k.T, "fin")
	if k.parts[side] {
		op = ws.OpContinuation
	}
	k.parts[side] = !fin
	n := rapid.SampledFrom([]int{0, 1, 16, 125, 126, 300}).Draw(k.T, "size")
	return ws.NewFrame(op, fin, bytes.Repeat([]byte{0x8a}, n))
}

// upstream has the upstream send a part of what it has to say.
func (k *talk) upstream() {
	for range rapid.IntRange(0, 2).Draw(k.T, "upstream frames") {
		var f ws.Frame
		if rapid.Bool().Draw(k.T, "upstream pings") {
			f = ws.NewPingFrame(k.payload())
		} else {
			f = k.data(1)
		}
		b := ws.MustCompileFrame(f)
		k.told, k.left = append(k.told, b...), append(k.left, b...)
		if f.Header.OpCode == ws.OpPing {
			k.mu.Lock()
			k.foreign = append(k.foreign, f.Payload)
			k.mu.Unlock()
		}
	}
	n := rapid.IntRange(0, len(k.left)).Draw(k.T, "sent")
	k.p.server.say(k.left[:n])
	k.left = k.left[n:]
	synctest.Wait()
}

// client has the client send some frames in pieces, the answers among them. It
// always says something, or it would be dead.
func (k *talk) client() {
	var out []byte
	for range rapid.IntRange(1, 5).Draw(k.T, "client frames") {
		b, ours := k.frame()
		out = append(out, b...)
		if !ours {
			k.said = append(k.said, b...)
		}
	}
	size := rapid.SampledFrom([]int{1, 2, 7, 22, 23, 1 << 20}).Draw(k.T, "pieces")
	for piece := range slices.Chunk(out, size) {
		k.p.client.say(piece)
	}
}

// frame is the next of the client's, and whether it is for the gateway.
func (k *talk) frame() (b []byte, ours bool) {
	kind := rapid.IntRange(0, 5).Draw(k.T, "kind")
	k.mu.Lock()
	switch {
	case kind <= 1 && len(k.ours) > 0:
		if kind == 0 { // The last answer is enough (RFC 6455 §5.5.3).
			k.ours = k.ours[len(k.ours)-1:]
		}
		b = k.ours[0]
		k.ours = k.ours[1:]
		k.answered++
		k.mu.Unlock()
		return k.masked(ws.NewPongFrame(bytes.Clone(b))), true
	case kind == 2 && len(k.theirs) > 0:
		b = k.theirs[0]
		k.theirs = k.theirs[1:]
		k.mu.Unlock()
		return k.masked(ws.NewPongFrame(bytes.Clone(b))), false
	}
	k.mu.Unlock()
	switch kind {
	case 3:
		return k.masked(ws.NewPongFrame(k.payload())), false
	case 4:
		return k.masked(ws.NewPingFrame(k.payload())), false
	default:
		return k.masked(k.data(0)), false
	}
}

func (k *talk) masked(f ws.Frame) []byte {
	mask := [4]byte(rapid.SliceOfN(rapid.Byte(), 4, 4).Draw(k.T, "mask"))
	return ws.MustCompileFrame(ws.MaskFrameWith(f, mask))
}
