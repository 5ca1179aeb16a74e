package ably

// A PresenceMessage is what a member of a channel does, or is. One that is
// shared must not be changed.
type PresenceMessage struct {
	// ID names it: for a real event, "<connection id>:<msgSerial>:<index>".
	ID string
	// Action is what the member does, or in a SYNC, is.
	Action PresenceAction
	// ClientID is the member, together with ConnectionID.
	ClientID string
	// ConnectionID is the connection that the member is present by.
	ConnectionID string
	// Data is what it carries, after the steps that Encoding lists.
	Data Data
	// Encoding lists what was done to Data, from the innermost.
	Encoding string
	// Extras are a JSON object, or empty.
	Extras string
	// Timestamp is when it happened, in milliseconds since 1970.
	Timestamp int64

	problem *ErrorInfo
}

// Check tells what is wrong with a presence message from a client, or nil. Who
// may send it is not its business.
func (p *PresenceMessage) Check() *ErrorInfo {
	if p.problem != nil {
		return p.problem
	}
	switch p.Action {
	case PresenceEnter, PresenceLeave, PresenceUpdate:
		return checkWords(p.ID, p.Encoding)
	}
	return Errorf(BadRequest, "a client enters, updates or leaves; action %d is none of these", p.Action)
}

// Size is what counts against the limit for messages, in bytes.
func (p *PresenceMessage) Size() int {
	return len(p.Data.content) + len(p.ClientID) + len(p.Extras)
}

func (p *PresenceMessage) decode(d *decoder) {
	outer := d.take()
	var body payload
	for name := range d.members {
		switch string(name) {
		case "id":
			p.ID = d.text()
		case "action":
			p.Action = PresenceAction(d.integer())
		case "clientId":
			p.ClientID = string(d.clientID())
		case "connectionId":
			p.ConnectionID = d.text()
		case "data":
			body.data(d)
		case "encoding":
			body.encoding = d.bytes()
		case "extras":
			p.Extras = d.extras()
		case "timestamp":
			p.Timestamp = d.integer()
		default:
			d.skip()
		}
	}
	body.settle(d)
	p.Data, p.Encoding = Data{content: string(body.content), kind: body.kind}, string(body.encoding)
	p.problem, d.problem = d.problem, outer
}

func (p *PresenceMessage) encode(e *encoder) {
	e.begin()
	e.text("id", p.ID)
	e.alwaysInteger("action", int64(p.Action))
	e.text("clientId", p.ClientID)
	e.text("connectionId", p.ConnectionID)
	e.data(p.Data, p.Encoding)
	e.raw("extras", p.Extras)
	e.integer("timestamp", p.Timestamp)
	e.end()
}

// PresenceMessages are a list of them.
type PresenceMessages []*PresenceMessage

func (l *PresenceMessages) decode(d *decoder) {
	for range d.elements {
		if len(*l) == MaxMessages {
			d.refuse(TooManyMessages, "at most %d", MaxMessages)
			d.skip()
			continue
		}
		p := new(PresenceMessage)
		p.decode(d)
		*l = append(*l, p)
	}
}

func (l *PresenceMessages) encode(e *encoder) { writeList(e, *l) }
