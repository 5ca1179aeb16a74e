package ably

// A ProtocolMessage is what one frame of a realtime connection has.
type ProtocolMessage struct {
	// Action is what it is about.
	Action Action
	// ID begins the ids of the messages in it that have none of their own:
	// "<connection id>:<msgSerial>".
	ID string
	// Channel is the channel that it is about.
	Channel string
	// ChannelGiven says that there is a channel though its name is empty: an
	// ERROR without a channel ends the connection.
	ChannelGiven bool
	// ChannelSerial is a place in the channel, or of a SYNC.
	ChannelSerial string
	// ConnectionID is the connection: of CONNECTED the client's own, elsewhere the
	// publisher's.
	ConnectionID string
	// ConnectionDetails go with CONNECTED.
	ConnectionDetails *ConnectionDetails
	// MsgSerial numbers what a client wants to have acknowledged.
	MsgSerial int64
	// Count is how many protocol messages an ACK or NACK is about.
	Count int
	// Timestamp is when it was made, in milliseconds since 1970.
	Timestamp int64
	// Flags are those of ATTACH and ATTACHED.
	Flags Flags
	// Error is what went wrong.
	Error *ErrorInfo
	// Messages are those of MESSAGE.
	Messages Messages
	// Presence are those of PRESENCE and SYNC.
	Presence PresenceMessages
	// Auth is the fresh token of AUTH.
	Auth *Auth
	// Params are those of ATTACH, ATTACHED and MESSAGE.
	Params Params
	// Results are those of an ACK, one for each protocol message.
	Results []*PublishResult

	likely  string // The channel, perhaps: see Expect.
	problem *ErrorInfo
}

// An Auth is a fresh token on its way to its verifier.
type Auth struct {
	// AccessToken is the token. It is a secret.
	AccessToken string
}

// Params are settings of a channel or of a frame.
type Params map[string]string

// A PublishResult is what became of one publish.
type PublishResult struct {
	// Serials are those of its messages. One is empty where the message has none.
	Serials []string
}

// Check tells what is wrong with what a client has sent, or nil: with the frame,
// or with the first of its messages that has a fault.
func (p *ProtocolMessage) Check() *ErrorInfo {
	if p.problem != nil {
		return p.problem
	}
	if bad := p.Messages.Check(); bad != nil {
		return bad
	}
	for _, m := range p.Presence {
		if bad := m.Check(); bad != nil && p.Action == ActionPresence {
			return bad
		}
	}
	return nil
}

// Reset empties p for the next Decode. A few of its messages are used again:
// nobody may have them any more.
func (p *ProtocolMessage) Reset() {
	list := p.Messages
	if len(list) > keptMessages {
		list = nil
	}
	for _, m := range list {
		*m = Message{}
	}
	*p = ProtocolMessage{Messages: list[:0]}
}

// Expect has the next Decode make no string of the channel's name where that is
// channel, as it is for who publishes to one again and again.
func (p *ProtocolMessage) Expect(channel string) { p.likely = channel }

// keptMessages is how many messages are used again.
const keptMessages = 4

func (p *ProtocolMessage) decode(d *decoder) {
	if k := d.kind(); k != kindTable && k != kindNothing {
		d.fail(errNoFrame)
	}
	for name := range d.members {
		p.member(d, name)
	}
	p.problem = d.take()
}

func (p *ProtocolMessage) member(d *decoder, name []byte) {
	switch string(name) {
	case "action":
		p.Action = Action(d.integer())
	case "id":
		p.ID = d.text()
	case "channel":
		p.ChannelGiven = d.kind() != kindNull
		if name := d.bytes(); string(name) == p.likely {
			p.Channel = p.likely
		} else {
			p.Channel = string(name)
		}
	case "channelSerial":
		p.ChannelSerial = d.text()
	case "connectionId":
		p.ConnectionID = d.text()
	case "connectionDetails":
		p.ConnectionDetails = new(ConnectionDetails)
		p.ConnectionDetails.decode(d)
	case "msgSerial":
		p.MsgSerial = d.integer()
	case "count":
		p.Count = int(d.integer())
	case "timestamp":
		p.Timestamp = d.integer()
	case "flags":
		p.Flags = Flags(d.integer())
	case "error":
		p.Error = new(ErrorInfo)
		p.Error.decode(d)
	case "messages":
		p.Messages.decode(d)
	case "presence":
		p.Presence.decode(d)
	case "auth":
		p.Auth = new(Auth)
		p.Auth.decode(d)
	case "params":
		p.Params.decode(d)
	case "res":
		p.Results = decodeResults(d)
	default:
		d.skip()
	}
}

func (p *ProtocolMessage) encode(e *encoder) {
	e.begin()
	e.alwaysInteger("action", int64(p.Action))
	e.text("id", p.ID)
	if p.Channel != "" || p.ChannelGiven {
		e.alwaysText("channel", p.Channel)
	}
	e.text("channelSerial", p.ChannelSerial)
	e.text("connectionId", p.ConnectionID)
	if p.ConnectionDetails != nil {
		e.name("connectionDetails")
		p.ConnectionDetails.encode(e)
	}
	if p.Action == ActionAck || p.Action == ActionNack {
		e.alwaysInteger("msgSerial", p.MsgSerial)
		e.alwaysInteger("count", int64(p.Count))
	} else {
		e.integer("msgSerial", p.MsgSerial)
		e.integer("count", int64(p.Count))
	}
	e.integer("timestamp", p.Timestamp)
	e.integer("flags", int64(p.Flags))
	if p.Error != nil {
		e.name("error")
		p.Error.encode(e)
	}
	encodeList(e, "messages", p.Messages)
	if p.Action == ActionSync || len(p.Presence) > 0 { // Clients pass over a SYNC without, and wait for its end.
		e.name("presence")
		writeList(e, p.Presence)
	}
	if p.Auth != nil {
		e.name("auth")
		p.Auth.encode(e)
	}
	if len(p.Params) > 0 {
		e.name("params")
		p.Params.encode(e)
	}
	encodeList(e, "res", p.Results)
	e.end()
}

func (a *Auth) decode(d *decoder) {
	for name := range d.members {
		if string(name) == "accessToken" {
			a.AccessToken = d.text()
		} else {
			d.skip()
		}
	}
}

func (a *Auth) encode(e *encoder) {
	e.begin()
	e.text("accessToken", a.AccessToken)
	e.end()
}

func (p *Params) decode(d *decoder) {
	for name := range d.members {
		if len(*p) >= maxMembers {
			d.refuse(BadRequest, "more than %d params", maxMembers)
			d.skip()
			continue
		}
		if *p == nil {
			*p = make(Params)
		}
		switch d.kind() {
		case kindNumber, kindBool: // Written without quotes.
			(*p)[string(name)] = d.raw()
		case kindNull:
			d.skip()
		default:
			(*p)[string(name)] = d.text()
		}
	}
}

func (p *Params) encode(e *encoder) {
	e.begin()
	for _, name := range sortedKeys(*p) {
		e.chosenName(name)
		e.writeText((*p)[name])
	}
	e.end()
}

func decodeResults(d *decoder) (list []*PublishResult) {
	for range d.elements {
		r := new(PublishResult)
		r.decode(d)
		if len(list) < maxMembers {
			list = append(list, r)
		}
	}
	return list
}

func (r *PublishResult) decode(d *decoder) {
	for name := range d.members {
		if string(name) == "serials" {
			r.Serials = d.texts()
		} else {
			d.skip()
		}
	}
}

func (r *PublishResult) encode(e *encoder) {
	e.begin()
	e.serials("serials", r.Serials)
	e.end()
}
