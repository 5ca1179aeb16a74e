package realtime

import (
	"strconv"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// publish takes a publish or a presence event. Whatever becomes of it, the
// client hears of it, in its turn.
func (t *transport) publish(p *ably.ProtocolMessage) error {
	k, ok := t.acks.begin(p.MsgSerial, max(len(p.Messages), len(p.Presence)))
	if !ok {
		return t.flooded()
	}
	then := func(at hub.Position, err error) {
		var info *ably.ErrorInfo
		if err != nil {
			info = lexicon.Refusal(err)
		}
		t.acks.answer(k, at, info)
	}
	var info *ably.ErrorInfo
	var err error
	base := string(strconv.AppendInt(append(append(make([]byte, 0, 64), t.state.conn.ID()...), ':'), p.MsgSerial, 10))
	switch p.Action {
	case ably.ActionMessage:
		if info = t.mayPublish(p); info == nil {
			err = t.state.conn.Publish(hub.Publication{Channel: p.Channel, Base: base, Messages: lexicon.Messages(p.Messages)}, then)
		}
	case ably.ActionPresence:
		if info = t.mayBePresent(p); info == nil {
			err = t.state.conn.Present(p.Channel, base, lexicon.PresenceMessages(p.Presence), then)
		}
	case ably.ActionAnnotation:
		info = ably.Errorf(ably.MutationDisabled, "annotations need them")
	default:
		info = ably.Errorf(ably.BadRequest, "objects are not supported")
	}
	if err != nil {
		info = lexicon.Refusal(err)
	}
	if info == nil {
		return nil
	}
	t.acks.answer(k, 0, info)
	if info.Code == ably.ConnectionRateLimited && t.floods(len(p.Messages)+len(p.Presence)) {
		return t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected, Error: ably.Err(ably.ConnectionFlooded)})
	}
	return nil
}

// floodFactor is how many times as much as it may a client can have refused before
// it is let go.
const floodFactor = 10

// floods reports whether a client that has n more messages refused is one that does
// not mind: whoever reads what it sends has better to do.
func (t *transport) floods(n int) bool {
	rate := t.state.app.Limits().Rate
	if rate <= 0 { // What was refused was the token's.
		rate = 1000
	}
	return !t.state.rates.Take(ofRefusals, "", min(n, rate), floodFactor*float64(rate))
}

// flooded ends a connection whose client wants more answers than are owed at once.
func (t *transport) flooded() error {
	return t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected, Error: ably.Err(ably.ConnectionFlooded)})
}

// mayPublish tells why the client may not, or nil. It completes the messages
// with who it is.
func (t *transport) mayPublish(p *ably.ProtocolMessage) *ably.ErrorInfo {
	g := t.grant.Load()
	name, info := ably.ParseChannelName(p.Channel)
	if info != nil {
		return info
	}
	if !g.may("publish", name.Name) {
		return ably.Err(ably.NotPermitted)
	}
	if c := t.channels[p.Channel]; c != nil && !c.asked.Has(ably.ModePublish) {
		return ably.Err(ably.ModeMissing)
	}
	if p.Params["_forceNack"] == "true" {
		return ably.Err(ably.ForcedNack)
	}
	if info := p.Check(); info != nil {
		return info
	}
	if len(p.Messages) == 0 {
		return ably.Err(ably.BadMessage)
	}
	for _, m := range p.Messages {
		id, info := g.clientID(m.ClientID)
		if info != nil {
			return info
		}
		m.ClientID, m.Extras = id, g.claimed(m.Extras, name.Name)
	}
	if !g.within(&t.state.rates, name.Name, len(p.Messages)) {
		return ably.Err(ably.ConnectionRateLimited)
	}
	p.Channel = name.Name
	return nil
}

// mayBePresent is mayPublish for presence, which has to be somebody's.
func (t *transport) mayBePresent(p *ably.ProtocolMessage) *ably.ErrorInfo {
	g := t.grant.Load()
	c := t.channels[p.Channel]
	if c == nil {
		return ably.Errorf(ably.ChannelWrongState, "not attached")
	}
	switch {
	case !g.may("presence", c.hub):
		return ably.Err(ably.NotPermitted)
	case !c.asked.Has(ably.ModePresence):
		return ably.Err(ably.ModeMissing)
	}
	if info := p.Check(); info != nil {
		return info
	}
	if len(p.Presence) == 0 {
		return ably.Err(ably.BadMessage)
	}
	for _, m := range p.Presence {
		id, info := g.clientID(m.ClientID)
		switch {
		case info != nil:
			return info
		case id == "":
			return ably.Err(ably.PresenceNeedsClientID)
		}
		m.ClientID, m.Extras = id, g.claimed(m.Extras, c.hub)
	}
	p.Channel = c.hub
	return nil
}

// clientID is who a message is from, which says that it is from said.
func (g *Grant) clientID(said string) (string, *ably.ErrorInfo) {
	switch {
	case g.ClientID == "*", said == g.ClientID:
		return said, nil
	case said == "":
		return g.ClientID, nil
	}
	return "", ably.Errorf(ably.BadClientID, "the message has another clientId than the connection")
}
