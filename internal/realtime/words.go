package realtime

import (
	"errors"
	"strconv"
	"strings"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// opcodes are the frames that the formats come in.
func opcode(f ably.Format) ws.OpCode {
	if f == ably.Msgpack {
		return ws.OpBinary
	}
	return ws.OpText
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
			p.Presence[i] = presenceMessage(&e.Messages[i])
		}
		return p
	}
	p.Messages = make(ably.Messages, len(e.Messages))
	base, short := baseOf(e.Messages)
	if short {
		p.ID = base
	}
	for i := range e.Messages {
		m := &e.Messages[i]
		p.Messages[i] = &ably.Message{
			Name: m.Name, Data: dataOf(m), Encoding: m.Encoding, ClientID: m.ClientID, Extras: m.Extras, Serial: e.Serial(i),
		}
		if !short {
			p.Messages[i].ID = m.ID
		}
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

func dataOf(m *hub.Message) ably.Data {
	switch m.Form {
	case hub.Text:
		return ably.TextData(m.Data)
	case hub.Binary:
		return ably.BinaryData(m.Data)
	}
	return ably.Data{}
}

// setData is dataOf the other way round.
func setData(m *hub.Message, d ably.Data) {
	switch {
	case d.Absent():
	case d.Binary():
		m.Data, m.Form = d.Content(), hub.Binary
	default:
		m.Data, m.Form = d.Content(), hub.Text
	}
}

var presenceActions = map[hub.Action]ably.PresenceAction{
	hub.Enter: ably.PresenceEnter, hub.Update: ably.PresenceUpdate, hub.Leave: ably.PresenceLeave,
}

func presenceMessage(m *hub.Message) *ably.PresenceMessage {
	return &ably.PresenceMessage{
		ID: m.ID, Action: presenceActions[m.Action], ClientID: m.ClientID, ConnectionID: m.ConnectionID,
		Data: dataOf(m), Encoding: m.Encoding, Extras: m.Extras, Timestamp: m.Time,
	}
}

// messages are those of a publish in the words of the hub.
func messages(list ably.Messages) []hub.Message {
	out := make([]hub.Message, len(list))
	for i, m := range list {
		out[i] = hub.Message{ID: m.ID, Name: m.Name, Encoding: m.Encoding, Extras: m.Extras, ClientID: m.ClientID}
		setData(&out[i], m.Data)
	}
	return out
}

func presenceMessages(list ably.PresenceMessages) []hub.Message {
	out := make([]hub.Message, len(list))
	for i, m := range list {
		out[i] = hub.Message{ID: m.ID, Encoding: m.Encoding, Extras: m.Extras, ClientID: m.ClientID}
		for action, word := range presenceActions {
			if word == m.Action {
				out[i].Action = action
			}
		}
		setData(&out[i], m.Data)
	}
	return out
}

// refusals are the codes of what the hub says no with.
var refusals = []struct {
	err  error
	code ably.Code
}{
	{hub.ErrTooLarge, ably.MessageTooLarge},
	{hub.ErrTooMany, ably.TooManyMessages},
	{hub.ErrIDs, ably.BadMessageID},
	{hub.ErrRate, ably.ConnectionRateLimited},
	{hub.ErrChannels, ably.TooManyChannels},
	{hub.ErrMembers, ably.TooManyMembers},
	{hub.ErrNotAttached, ably.ChannelWrongState},
	{hub.ErrConnections, ably.RateLimited},
	{hub.ErrFull, ably.Unavailable},
	{hub.ErrUnavailable, ably.Unavailable},
	{hub.ErrClosed, ably.Disconnected},
}

// refusal is an error of the hub's in the words of the wire.
func refusal(err error) *ably.ErrorInfo {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return ably.Err(r.code)
		}
	}
	return ably.ErrorOf(err)
}
