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
func frame(f ably.Format, p *ably.ProtocolMessage) []byte {
	return newFrame(opcode(f), func(b []byte) []byte { return ably.Append(b, f, p) })
}

// delivery is the frame of an entry, which all who get it in a format share.
func delivery(f ably.Format, e *hub.Entry) []byte {
	return e.Encoded(int(f), func(e *hub.Entry) []byte { return frame(f, entryMessage(e)) })
}

// entryMessage is an entry in the words of the wire.
func entryMessage(e *hub.Entry) *ably.ProtocolMessage {
	p := &ably.ProtocolMessage{
		Action: ably.ActionMessage, Channel: e.Name.Channel, ChannelSerial: e.Position.String(),
		ConnectionID: e.ConnectionID, Timestamp: e.Time,
	}
	if e.Kind == hub.Presence {
		p.Action = ably.ActionPresence
		p.Presence = make(ably.PresenceMessages, len(e.Messages))
		for i := range e.Messages {
			p.Presence[i] = lexicon.PresenceMessage(&e.Messages[i])
		}
		return p
	}
	p.Messages = make(ably.Messages, len(e.Messages))
	base, short := baseOf(e.Messages)
	if short {
		p.ID = base
	}
	for i := range e.Messages {
		m := lexicon.Message(&e.Messages[i], e.Serial(i))
		m.ConnectionID, m.Timestamp = "", 0 // As the whole says.
		if short {
			m.ID = ""
		}
		p.Messages[i] = m
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
