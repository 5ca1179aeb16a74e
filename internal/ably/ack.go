package ably

import (
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// An Ack is an ACK of publishes whose serials follow each other. It is written
// without being made first, as each publish has one.
type Ack struct {
	// MsgSerial is that of the first publish, and Count how many there are.
	MsgSerial int64
	Count     int
	// Messages is how many messages one has, and AppendSerial appends the serial of
	// one of those, in which there is nothing to escape.
	Messages     func(publish int) int
	AppendSerial func(b []byte, publish, message int) []byte
}

// Append appends it to b, as Append does with such a ProtocolMessage.
func (a Ack) Append(b []byte, f Format) []byte {
	if f == Msgpack {
		return a.appendMsgpack(b)
	}
	b = append(b, `{"action":1,"msgSerial":`...)
	b = strconv.AppendInt(b, a.MsgSerial, 10)
	b = append(b, `,"count":`...)
	b = strconv.AppendInt(b, int64(a.Count), 10)
	b = append(b, `,"res":[`...)
	for i := range a.Count {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"serials":[`...)
		for m := range a.Messages(i) {
			if m > 0 {
				b = append(b, ',')
			}
			b = append(a.AppendSerial(append(b, '"'), i, m), '"')
		}
		b = append(b, "]}"...)
	}
	return append(b, "]}"...)
}

func (a Ack) appendMsgpack(b []byte) []byte {
	b = msgp.AppendMapHeader(b, 4)
	b = msgp.AppendInt64(msgp.AppendString(b, "action"), int64(ActionAck))
	b = msgp.AppendInt64(msgp.AppendString(b, "msgSerial"), a.MsgSerial)
	b = msgp.AppendInt64(msgp.AppendString(b, "count"), int64(a.Count))
	b = msgp.AppendArrayHeader(msgp.AppendString(b, "res"), uint32(a.Count))
	for i := range a.Count {
		n := a.Messages(i)
		b = msgp.AppendMapHeader(b, 1)
		b = msgp.AppendArrayHeader(msgp.AppendString(b, "serials"), uint32(n))
		for m := range n {
			b = appendPlain(b, func(b []byte) []byte { return a.AppendSerial(b, i, m) })
		}
	}
	return b
}
