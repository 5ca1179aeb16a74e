package gateway

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"
)

const (
	nonceSize = 8
	// pingSize is the payload of a Ping of the gateway's own: what nobody can
	// guess, and a number.
	pingSize = nonceSize + 8
)

// pings are the gateway's own to one client. Their payload tells the Pongs that
// answer them from all others: the upstream has Pings of its own, and gets the
// answers to those and to no others. The zero value sends none.
type pings struct {
	// Immutable.
	every time.Duration
	nonce [nonceSize]byte

	sent  atomic.Uint64
	due   atomic.Bool  // One waits until it can be sent.
	asked atomic.Int64 // When the client was last asked for a sign of life.

	// Owned by the goroutine that reads from the client.
	answered uint64 // The number of the last one that was.
}

// begin makes p send, if the route has a time for it.
func (p *pings) begin(every time.Duration) {
	if every > 0 {
		p.every = every
		_, _ = rand.Read(p.nonce[:]) // It does not fail (see its documentation).
	}
}

// next is the frame of one more Ping.
func (p *pings) next() []byte {
	frame := append(make([]byte, 0, 2+pingSize), 0x80|byte(ws.OpPing), pingSize)
	frame = append(frame, p.nonce[:]...)
	return binary.BigEndian.AppendUint64(frame, p.sent.Add(1))
}

// mayBeAnsweredBy reports whether a client's frame, of which b is the whole head
// and what came of the payload, may be the answer to a Ping that has none yet.
func (p *pings) mayBeAnsweredBy(b []byte) bool {
	if b[0] != 0x80|byte(ws.OpPong) || b[1] != 0x80|pingSize || p == nil || p.sent.Load() == p.answered {
		return false
	}
	mask, payload := b[2:6], b[6:]
	for i, octet := range payload[:min(len(payload), nonceSize)] {
		if octet^mask[i%4] != p.nonce[i] {
			return false
		}
	}
	return true
}

// answeredBy reports whether a client's frame is the answer to a Ping, and takes
// note of it. A client may leave out the answers to all but the last Ping (RFC
// 6455 §5.5.3); what it repeats is no answer.
func (p *pings) answeredBy(frame []byte) bool {
	if len(frame) != 2+4+pingSize || !p.mayBeAnsweredBy(frame) {
		return false
	}
	number := [pingSize]byte(frame[6:])
	ws.Cipher(number[:], [4]byte(frame[2:]), 0)
	n := binary.BigEndian.Uint64(number[nonceSize:])
	if n <= p.answered || n > p.sent.Load() {
		return false
	}
	p.answered = n
	return true
}

// look sees whether the client gave a sign of life in time, and has it asked for
// one where that is due. It returns how long it need not be called again, or
// that the client is dead. That is one that was asked and says nothing, or that
// neither says nor takes anything, so that it cannot be asked.
func (t *tunnel) look(now int64) (wait time.Duration, dead bool) {
	p := &t.pings
	heard, deaf := t.lastHeard(now)
	if deaf { // No question from before counts: the answer may be what waits.
		t.alive.Store(now)
		return p.every, false
	}
	asked := p.asked.Load()
	told, stuck := t.told.last()
	left := p.every - time.Duration(now-max(heard, asked))
	switch {
	case left > 0:
		return left, false
	case asked > heard && !t.clientDone.Load():
		return 0, true
	case t.upClosed.Load() && !t.clientClosed.Load(): // It owes an answer to the Close.
		p.asked.Store(now)
	case p.due.Load() && stuck:
		left = time.Duration(max(heard+2*int64(p.every), told+int64(p.every)) - now)
		return left, left <= 0
	default:
		p.due.Store(true)
	}
	return p.every, false
}

// lastHeard is when the client last gave a sign of life. A client cannot be
// heard while the upstream does not take what it said before.
func (t *tunnel) lastHeard(now int64) (at int64, deaf bool) {
	if at, deaf = t.heard.last(); deaf {
		return now, true
	}
	return max(at, t.alive.Load()), false
}

// ask sends the Ping that is due, if the upstream's last frame is whole. If it
// is not, the write that completes it comes here again. So it does if one is
// under way, for which ask does not wait: that may be stuck.
func (t *tunnel) ask() {
	p := &t.pings
	if !p.due.Load() || !t.wmu.TryLock() {
		return
	}
	defer t.wmu.Unlock()
	if t.mute || !t.fromServer.boundary() || t.fromServer.closed || t.clientClosed.Load() || t.clientDone.Load() || t.upDone.Load() {
		return
	}
	now := t.clock()
	p.due.Store(false)
	if heard, _ := t.lastHeard(now); now-heard < int64(p.every) { // It need not be asked any more.
		return
	}
	p.asked.Store(now)
	_, err := t.client.Write(p.next())
	t.mute = err != nil
}

var errUnresponsive = errors.New("the client gave no sign of life when asked for one")
