package realtime

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"

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

var wordings = sync.Pool{New: func() any { return new(wording) }}

// appendEntry appends an entry as a frame of what a client calls the channel.
func appendEntry(b []byte, f ably.Format, e *hub.Entry, channel string) []byte {
	w, _ := wordings.Get().(*wording)
	defer wordings.Put(w)
	return appendMessage(b, f, w.of(e, channel))
}

// A wording has the room for an entry in the words of the wire.
type wording struct {
	whole    ably.ProtocolMessage
	messages []ably.Message
}

// of is an entry in the words of the wire. It lasts until the next.
func (w *wording) of(e *hub.Entry, channel string) *ably.ProtocolMessage {
	p := &w.whole
	p.Action, p.Channel, p.ConnectionID, p.Timestamp = ably.ActionMessage, channel, e.ConnectionID, e.Time
	p.ID, p.Messages, p.Presence = "", p.Messages[:0], nil
	if e.Kind == hub.Presence {
		p.Action, p.ChannelSerial = ably.ActionPresence, e.Position.String()
		p.Presence = make(ably.PresenceMessages, len(e.Messages))
		for i := range e.Messages {
			p.Presence[i] = lexicon.PresenceMessage(&e.Messages[i])
		}
		return p
	}
	w.messages = slices.Grow(w.messages[:0], len(e.Messages))[:len(e.Messages)]
	base, short := baseOf(e.Messages)
	if short {
		p.ID = base
	}
	for i := range e.Messages {
		m := &w.messages[i]
		lexicon.Write(m, &e.Messages[i], e.Serial(i)) // By whom and when is as the whole says.
		if short {
			m.ID = ""
		}
		p.Messages = append(p.Messages, m)
	}
	first := w.messages[0].Serial // It begins with that of the place.
	p.ChannelSerial = first[:strings.LastIndexByte(first, ':')]
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
