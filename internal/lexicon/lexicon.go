// Package lexicon has the hub's words for those of the Ably wire, and the other
// way round: messages, members and refusals. It decides nothing and answers
// nobody; realtime and rest look things up in it.
package lexicon

import (
	"errors"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// dataOf is what a message of the hub carries, for the wire.
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

// Messages are those that a client publishes, for the hub.
func Messages(list ably.Messages) []hub.Message {
	out := make([]hub.Message, len(list))
	ReadMessages(out, list)
	return out
}

// ReadMessages reads what Messages returns into as many that are empty.
func ReadMessages(out []hub.Message, list ably.Messages) {
	for i, m := range list {
		to := &out[i]
		to.ID, to.Name, to.Encoding, to.Extras, to.ClientID = m.ID, m.Name, m.Encoding, m.Extras, m.ClientID
		setData(to, m.Data)
	}
}

// Message is a message of a channel, for the wire.
func Message(m *hub.Message, serial string) *ably.Message {
	out := new(ably.Message)
	Write(out, m)
	out.ConnectionID, out.Timestamp, out.Serial = m.ConnectionID, m.Time, serial
	return out
}

// Write writes a message of a channel over another that it has written, but for its
// serial and for what is the same of all that were published with it.
func Write(out *ably.Message, m *hub.Message) {
	out.ID, out.Name, out.Data, out.Encoding = m.ID, m.Name, dataOf(m), m.Encoding
	out.Extras, out.ClientID = m.Extras, m.ClientID
}

// Past is a message of a channel's history, for the wire.
func Past(p hub.Past) *ably.Message {
	m := Message(p.Message(), p.Serial())
	m.Version = &ably.Version{Serial: m.Serial, Timestamp: m.Timestamp} // The only one.
	return m
}

var presenceActions = map[hub.Action]ably.PresenceAction{
	hub.Enter: ably.PresenceEnter, hub.Update: ably.PresenceUpdate, hub.Leave: ably.PresenceLeave, hub.Present: ably.PresencePresent,
}

// PresenceMessages are those that a client sends, for the hub. What it cannot do
// is no action there.
func PresenceMessages(list ably.PresenceMessages) []hub.Message {
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

// PresenceMessage is what a member has done, for the wire.
func PresenceMessage(m *hub.Message) *ably.PresenceMessage {
	return &ably.PresenceMessage{
		ID: m.ID, Action: presenceActions[m.Action], ClientID: m.ClientID, ConnectionID: m.ConnectionID,
		Data: dataOf(m), Encoding: m.Encoding, Extras: m.Extras, Timestamp: m.Time,
	}
}

// Member is a member as it is, for the wire.
func Member(m *hub.Message) *ably.PresenceMessage {
	p := PresenceMessage(m)
	p.Action = ably.PresencePresent
	return p
}

// Occupancy is how many use a channel, for the wire.
func Occupancy(o hub.Occupancy) ably.Occupancy {
	return ably.Occupancy{
		Connections: o.Connections, Publishers: o.Publishers, Subscribers: o.Subscribers,
		PresenceConnections: o.PresenceConnections, PresenceMembers: o.PresenceMembers, PresenceSubscribers: o.PresenceSubscribers,
	}
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
	{hub.ErrSharedRate, ably.RateLimited},
	{hub.ErrAttachRate, ably.RateLimited},
	{hub.ErrChannels, ably.TooManyChannels},
	{hub.ErrAllChannels, ably.RateLimited},
	{hub.ErrMembers, ably.TooManyMembers},
	{hub.ErrNotAttached, ably.ChannelWrongState},
	{hub.ErrConnections, ably.RateLimited},
	{hub.ErrKeyConnections, ably.RateLimited},
	{hub.ErrClientConnections, ably.RateLimited},
	{hub.ErrFull, ably.Unavailable},
	{hub.ErrUnavailable, ably.Unavailable},
	{hub.ErrClosed, ably.Disconnected},
}

// Refusal is an error in the words of the wire. What is neither the hub's nor the
// wire's is an internal error.
func Refusal(err error) *ably.ErrorInfo {
	for _, r := range refusals {
		if errors.Is(err, r.err) {
			return ably.Err(r.code)
		}
	}
	return ably.ErrorOf(err)
}
