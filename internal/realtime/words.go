package realtime

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// opcode is that of the frames that a format comes in.
func opcode(f ably.Format) ws.OpCode {
	if f == ably.Msgpack {
		return ws.OpBinary
	}
	return ws.OpText
}

// passes reports whether it may help to try again later.
func passes(why *ably.ErrorInfo) bool {
	return why.Status >= http.StatusInternalServerError || why.Status == http.StatusTooManyRequests || why.Code == ably.Disconnected
}

// frame is a protocol message as a frame.
func frame(f ably.Format, p *ably.ProtocolMessage) []byte { return appendMessage(nil, f, p) }

// appendMessage appends a protocol message as a frame.
func appendMessage(b []byte, f ably.Format, p *ably.ProtocolMessage) []byte {
	return appendFrame(b, opcode(f), func(b []byte) []byte { return ably.Append(b, f, p) })
}

// delivery is the frame of an entry, which all who get it in a format share.
func delivery(f ably.Format, e *hub.Entry) []byte {
	return e.Encoded(int(f), func(e *hub.Entry) []byte { return appendEntry(nil, f, e, e.Name.Channel) })
}

// appendEntry appends an entry as a frame of what a client calls the channel.
func appendEntry(b []byte, f ably.Format, e *hub.Entry, channel string) []byte {
	if e.Kind == hub.Presence {
		return appendMessage(b, f, presenceOf(e, channel))
	}
	base, short := baseOf(e.Messages)
	d := ably.Delivery{
		ID: base, Channel: channel, ConnectionID: e.ConnectionID, Timestamp: e.Time,
		AppendPlace: e.Position.Append,
		Count:       len(e.Messages),
		Write: func(m *ably.Message, i int) { // By whom and when is as the whole says.
			if lexicon.Write(m, &e.Messages[i]); short {
				m.ID = ""
			}
		},
		AppendSerial: e.Position.AppendSerial,
	}
	return appendFrame(b, opcode(f), func(b []byte) []byte { return d.Append(b, f) })
}

// presenceOf is an entry of presence in the words of the wire.
func presenceOf(e *hub.Entry, channel string) *ably.ProtocolMessage {
	p := &ably.ProtocolMessage{
		Action: ably.ActionPresence, Channel: channel, ChannelSerial: e.Position.String(),
		ConnectionID: e.ConnectionID, Timestamp: e.Time, Presence: make(ably.PresenceMessages, len(e.Messages)),
	}
	for i := range e.Messages {
		p.Presence[i] = lexicon.PresenceMessage(&e.Messages[i])
	}
	return p
}

// baseOf is what the ids begin with, where they are those that a client makes of
// it: base:index.
func baseOf(list []hub.Message) (string, bool) {
	base, ok := strings.CutSuffix(list[0].ID, ":0")
	if !ok || base == "" {
		return "", false
	}
	for i := 1; i < len(list); i++ {
		if list[i].ID != base+":"+strconv.Itoa(i) {
			return "", false
		}
	}
	return base, true
}
