package realtime

import (
	"sync"

	"github.com/usher-ws/usher/internal/ably"
)

// maxUnanswered bounds the publishes of one client that wait for the log.
const maxUnanswered = 4096

// acks answers what a client publishes, in the order in which it came, whatever
// the order in which the log answers: SDKs take an answer that is out of order
// for a fault, and ably-go ends its process.
type acks struct {
	send func(*ably.ProtocolMessage)

	mu sync.Mutex
	// Guarded by mu.
	waiting []*ack
}

// An ack is the answer to one protocol message, once it is known.
type ack struct {
	serial  int64
	known   bool
	serials []string
	refused *ably.ErrorInfo
}

// begin notes that an answer is owed. It returns nil where too many are.
func (a *acks) begin(serial int64) *ack {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxUnanswered {
		return nil
	}
	k := &ack{serial: serial}
	a.waiting = append(a.waiting, k)
	return k
}

// answer answers k: with serials, or with why it is refused. What had to wait
// for it is answered too.
func (a *acks) answer(k *ack, serials []string, refused *ably.ErrorInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	k.known, k.serials, k.refused = true, serials, refused
	n := 0
	for n < len(a.waiting) && a.waiting[n].known {
		n++
	}
	a.tell(a.waiting[:n])
	clear(a.waiting[:n])
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		a.waiting = nil
	}
}

// tell sends answers: one ACK for those that follow each other, and a NACK for
// each that is refused.
func (a *acks) tell(list []*ack) {
	for len(list) > 0 {
		first := list[0]
		if first.refused != nil {
			a.send(&ably.ProtocolMessage{Action: ably.ActionNack, MsgSerial: first.serial, Count: 1, Error: first.refused})
			list = list[1:]
			continue
		}
		p := &ably.ProtocolMessage{Action: ably.ActionAck, MsgSerial: first.serial}
		for len(list) > 0 && list[0].refused == nil && list[0].serial == first.serial+int64(p.Count) {
			p.Count++
			p.Results = append(p.Results, &ably.PublishResult{Serials: list[0].serials})
			list = list[1:]
		}
		a.send(p)
	}
}
