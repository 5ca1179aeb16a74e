package realtime

import (
	"sync"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
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
	room    *ackRoom // In which waiting began. Nil while nothing waits.
	first   uint32   // Which of all the oldest of these is, modulo 1 << 32.
	held    bool     // Until the reader releases them.
}

// An ack is the answer to one protocol message, once it is known: that its n
// messages are at a place, or why it is refused.
type ack struct {
	serial  int64
	at      hub.Position
	refused *ably.ErrorInfo
	n       int
	known   bool
}

// An ackRoom is for the answers that wait for what was read at once: a client that
// publishes nothing has none.
type ackRoom [16]ack

var ackRooms = sync.Pool{New: func() any { return new(ackRoom) }}

// maxHeldBack bounds the answers that are held back.
const maxHeldBack = 64

// An owed is an answer that is owed. It is used again once it was told.
type owed struct {
	acks  *acks
	which uint32
	then  func(hub.Position, error) // Its method tell, made once.
}

var owing = sync.Pool{New: func() any { return new(owed) }}

// tell tells what has become of it, once.
func (o *owed) tell(at hub.Position, err error) {
	var refused *ably.ErrorInfo
	if err != nil {
		refused = lexicon.Refusal(err)
	}
	o.answer(at, refused)
}

// refuse tells that it is refused, once.
func (o *owed) refuse(why *ably.ErrorInfo) { o.answer(0, why) }

func (o *owed) answer(at hub.Position, refused *ably.ErrorInfo) {
	a, which := o.acks, o.which
	o.acks = nil
	owing.Put(o)
	a.answer(which, at, refused)
}

// release has no answers held back any more. The reader calls it when it has done
// what it has read, and before it says anything else.
func (a *acks) release() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = false
	a.tell()
}

// begin notes that an answer to a message of n is owed. It returns false where too
// many are. Until release most answers are held back, so that what was read at once
// is answered at once.
func (a *acks) begin(serial int64, n int) (o *owed, ok bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.waiting) >= maxUnanswered {
		return nil, false
	}
	a.held = true
	if a.room == nil {
		a.room, _ = ackRooms.Get().(*ackRoom)
		a.waiting = a.room[:0]
	}
	a.waiting = append(a.waiting, ack{serial: serial, n: n})
	if o, _ = owing.Get().(*owed); o.then == nil {
		o.then = o.tell
	}
	o.acks, o.which = a, a.first+uint32(len(a.waiting))-1
	return o, true
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
	if n == 0 {
		return
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
		a.acknowledge(list[:follow])
		list = list[follow:]
	}
	a.first += uint32(n)
	clear(a.waiting[:n])
	if a.waiting = a.waiting[n:]; len(a.waiting) == 0 {
		ackRooms.Put(a.room)
		a.waiting, a.room = nil, nil
	}
}

// acknowledge sends the ACK of those in list.
func (a *acks) acknowledge(list []ack) {
	k := ably.Ack{
		MsgSerial: list[0].serial, Count: len(list),
		Messages:     func(i int) int { return list[i].n },
		AppendSerial: func(b []byte, i, m int) []byte { return list[i].at.AppendSerial(b, m) },
	}
	f := a.transport.set.format
	a.transport.out.sendAs(func(b []byte) []byte {
		return appendFrame(b, opcode(f), func(b []byte) []byte { return k.Append(b, f) })
	})
}
