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
	o, ok := t.acks.begin(p.MsgSerial, max(len(p.Messages), len(p.Presence)))
	if !ok {
		return t.flooded()
	}
	info := t.tryPublish(p, o)
	if info == nil {
		return nil
	}
	o.refuse(info)
	if info.Code == ably.ConnectionRateLimited && t.floods(len(p.Messages)+len(p.Presence)) {
		return t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected, Error: ably.Err(ably.ConnectionFlooded)})
	}
	return nil
}

// tryPublish publishes. It returns why that is refused, or nil: then o is told.
func (t *transport) tryPublish(p *ably.ProtocolMessage, o *owed) *ably.ErrorInfo {
	switch p.Action {
	case ably.ActionMessage:
		return t.publishMessages(p, o)
	case ably.ActionPresence:
		return t.publishPresence(p, o)
	case ably.ActionAnnotation:
		return ably.Errorf(ably.MutationDisabled, "annotations need them")
	}
	return ably.Errorf(ably.BadRequest, "objects are not supported")
}

func (t *transport) publishMessages(p *ably.ProtocolMessage, o *owed) *ably.ErrorInfo {
	to, info := t.mayPublish(p)
	if info != nil {
		return info
	}
	list := to.room[:]
	if len(p.Messages) > 1 {
		list = make([]hub.Message, len(p.Messages))
	}
	lexicon.ReadMessages(list, p.Messages)
	err := t.state.conn.Publish(hub.Publication{Channel: to.hub, Number: p.MsgSerial, Messages: list, Time: t.time()}, o.then)
	clear(to.room[:]) // The hub keeps no list.
	if err != nil {
		return lexicon.Refusal(err)
	}
	return nil
}

func (t *transport) publishPresence(p *ably.ProtocolMessage, o *owed) *ably.ErrorInfo {
	if info := t.mayBePresent(p); info != nil {
		return info
	}
	base := t.state.conn.ID() + ":" + strconv.FormatInt(p.MsgSerial, 10)
	if err := t.state.conn.Present(p.Channel, base, lexicon.PresenceMessages(p.Presence), o.then); err != nil {
		return lexicon.Refusal(err)
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
	return !t.state.limited().Take(ofRefusals, "", min(n, rate), floodFactor*float64(rate))
}

// flooded ends a connection whose client wants more answers than are owed at once.
func (t *transport) flooded() error {
	return t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected, Error: ably.Err(ably.ConnectionFlooded)})
}

// An aim is where a client may publish to: it says one name again and again.
type aim struct {
	grant *Grant // The one that lets it.
	said  string
	hub   string // As the hub says it.
	room  [1]hub.Message
}

// aimed returns the aim of a client that may publish to a channel by its grant, or
// why it may not.
func (t *transport) aimed(g *Grant, said string) (*aim, *ably.ErrorInfo) {
	if a := t.aim; a != nil && a.grant == g && a.said == said {
		return a, nil
	}
	name, info := ably.ParseChannelName(said)
	switch {
	case info != nil:
		return nil, info
	case !g.may("publish", name.Name):
		return nil, ably.Err(ably.NotPermitted)
	}
	t.aim = &aim{grant: g, said: said, hub: name.Name}
	return t.aim, nil
}

// mayPublish returns where to, or why the client may not. It completes the messages
// with who it is.
func (t *transport) mayPublish(p *ably.ProtocolMessage) (*aim, *ably.ErrorInfo) {
	g := t.grant.Load()
	to, info := t.aimed(g, p.Channel)
	if info != nil {
		return nil, info
	}
	if c := t.channels.called(p.Channel); c != nil && !c.asked.Has(ably.ModePublish) {
		return nil, ably.Err(ably.ModeMissing)
	}
	if p.Params["_forceNack"] == "true" {
		return nil, ably.Err(ably.ForcedNack)
	}
	if info := p.Check(); info != nil {
		return nil, info
	}
	if len(p.Messages) == 0 {
		return nil, ably.Err(ably.BadMessage)
	}
	for _, m := range p.Messages {
		id, info := g.clientID(m.ClientID)
		if info != nil {
			return nil, info
		}
		m.ClientID, m.Extras = id, g.claimed(m.Extras, to.hub)
	}
	if !g.within(t.state, to.hub, len(p.Messages)) {
		return nil, ably.Err(ably.ConnectionRateLimited)
	}
	return to, nil
}

// mayBePresent is mayPublish for presence, which has to be somebody's.
func (t *transport) mayBePresent(p *ably.ProtocolMessage) *ably.ErrorInfo {
	g := t.grant.Load()
	c := t.channels.called(p.Channel)
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
