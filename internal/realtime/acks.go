package realtime

import (
	"sync"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// maxUnanswered bounds the publishes of one client that wait for the log.
const maxUnanswered = 4096

// acks answers what a client publishes, in the order in which it came, whatever
// the order in which the log answers: SDKs take an answer that is out of order
// for a fault, and ably-go ends its process.
type acks struct {
	transport *transport

	mu sync.Mutex
	// Guarded by mu.
	waiting []ack
	first   uint32 // Which of all the oldest of these is, modulo 1 << 32.
	held    bool   // Until the reader releases them.
}

// An ack is the answer to one protocol message, once it is known: that its n
// messages are at a place, or why it is refused.
type ack struct {
	serial  int64
	known   bool
	at      hub.Position
	n       int
	refused *ably.ErrorInfo
}

// maxHeldBack bounds the answers that are held back.
const maxHeldBack = 64

// release has no answers held back any more. The reader calls it when it has done
// what it has read, and before it says anything else.
func (a *acks) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = false
	a.tell()
}

// begin notes that an answer to a message of n is owed, and returns which of all
// it is. It returns false where too many are. Until release most answers are held
// back, so that what was read at once is answered at once.
func (a *acks) begin(serial int64, n int) (which uint32, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxUnanswered {
		return 0, false
	}
	a.held = true
	a.waiting = append(a.waiting, ack{serial: serial, n: n})
	return a.first + uint32(len(a.waiting)) - 1, true
}

// answer answers one, which is at a place, or is refused. What had to wait for it
// is answered too.
func (a *acks) answer(which uint32, at hub.Position, refused *ably.ErrorInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k := &a.waiting[which-a.first]
	k.known, k.at, k.refused = true, at, refused
	if !a.held || len(a.waiting) >= maxHeldBack {
		a.tell()
	}
}

// tell sends the answers that have nothing to wait for: one ACK for those that
// follow each other, and a NACK for each that is refused. Callers hold mu.
func (a *acks) tell() {
	n := 0
	for n < len(a.waiting) && a.waiting[n].known {
		n++
	}
	for list := a.waiting[:n]; len(list) > 0; {
		first := &list[0]
		if first.refused != nil {
			a.transport.send(&ably.ProtocolMessage{Action: ably.ActionNack, MsgSerial: first.serial, Count: 1, Error: first.refused})
			list = list[1:]
			continue
		}
		follow := 1
		for follow < len(list) && list[follow].refused == nil && list[follow].serial == first.serial+int64(follow) {
			follow++
		}
		a.transport.send(&ably.ProtocolMessage{Action: ably.ActionAck, MsgSerial: first.serial, Count: follow, Results: results(list[:follow])})
		list = list[follow:]
	}
	a.first += uint32(n)
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}
}

// results are where the messages are.
func results(list []ack) []*ably.PublishResult {
	room, all := make([]ably.PublishResult, len(list)), make([]*ably.PublishResult, len(list))
	serials := make([]string, 0, len(list))
	for i, k := range list {
		from := len(serials)
		for index := range k.n {
			serials = append(serials, k.at.Serial(index))
		}
		all[i] = &room[i]
		all[i].Serials = serials[from:]
	}
	return all
}
