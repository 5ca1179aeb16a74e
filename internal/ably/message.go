package ably

// MaxMessages is how many messages one publish may have.
const MaxMessages = 1000

// maxWord is how many bytes a message's id and encoding have at most, each. They
// do not count against the limit for messages.
const maxWord = 1024

// checkWords tells whether an id or encoding is too long, or nil.
func checkWords(id, encoding string) *ErrorInfo {
	switch {
	case len(id) > maxWord:
		return Errorf(BadRequest, "an id of more than %d bytes", maxWord)
	case len(encoding) > maxWord:
		return Errorf(BadRequest, "an encoding of more than %d bytes", maxWord)
	}
	return nil
}

// A Message is one message of a channel. One that is shared must not be changed.
type Message struct {
	// ID names it; a client that sends it twice with one id sends it once.
	ID string
	// Name is what the publisher calls its kind.
	Name string
	// Data is what it carries, after the steps that Encoding lists.
	Data Data
	// Encoding lists what was done to Data, from the innermost: "json/utf-8".
	Encoding string
	// ClientID is who published it.
	ClientID string
	// ConnectionID is the connection that published it.
	ConnectionID string
	// ConnectionKey is the connection on whose behalf it is published by REST. It
	// is a credential, and never written.
	ConnectionKey string
	// Timestamp is when it was published, in milliseconds since 1970.
	Timestamp int64
	// Extras are a JSON object, or empty.
	Extras string
	// Serial is its place in the channel.
	Serial string
	// Action is what it does.
	Action MessageAction
	// Version is which version of the message it is. Nil: the only one.
	Version *Version

	problem *ErrorInfo
}

// A Version is one of the versions of a message.
type Version struct {
	// Serial is its place in the channel.
	Serial string
	// Timestamp is when it was made, in milliseconds since 1970.
	Timestamp int64
	// ClientID is who made it.
	ClientID string
}

// Check tells what is wrong with a message from a client, or nil. Who may send
// it is not its business.
func (m *Message) Check() *ErrorInfo {
	switch {
	case m.problem != nil:
		return m.problem
	case m.Action != MessageCreate:
		return Err(MutationDisabled)
	}
	return checkWords(m.ID, m.Encoding)
}

// Size is what counts against the limit for messages: name, data, client id and
// extras, in bytes.
func (m *Message) Size() int {
	return len(m.Name) + len(m.Data.content) + len(m.ClientID) + len(m.Extras)
}

func (m *Message) decode(d *decoder) {
	outer := d.take()
	if d.kind() == kindNull {
		d.refuse(BadMessage, "null is no message")
	}
	var title, clientID []byte
	var body payload
	for name := range d.members {
		switch string(name) {
		case "id":
			m.ID = d.text() // By which it is known for longer than it is kept.
		case "name":
			title = d.bytes()
		case "data":
			body.data(d)
		case "encoding":
			body.encoding = d.bytes()
		case "clientId":
			clientID = d.clientID()
		case "connectionId":
			m.ConnectionID = d.text()
		case "connectionKey":
			m.ConnectionKey = d.text()
		case "timestamp":
			m.Timestamp = d.integer()
		case "extras":
			m.Extras = d.extras()
		case "serial":
			m.Serial = d.text()
		case "action":
			m.Action = MessageAction(d.integer())
		case "version":
			m.Version = new(Version)
			m.Version.decode(d)
		default:
			d.skip()
		}
	}
	body.settle(d)
	var w whole
	w.Grow(len(title) + len(body.content) + len(body.encoding) + len(clientID))
	m.Name, m.Data = w.text(title), Data{content: w.text(body.content), kind: body.kind}
	m.Encoding, m.ClientID = w.text(body.encoding), w.text(clientID)
	m.problem, d.problem = d.problem, outer
}

func (m *Message) encode(e *encoder) { m.write(e, nil) }

// write is encode with a serial that appendSerial appends, if it is not nil.
func (m *Message) write(e *encoder, appendSerial func(b []byte) []byte) {
	e.begin()
	e.text("id", m.ID)
	e.text("name", m.Name)
	e.data(m.Data, m.Encoding)
	e.text("clientId", m.ClientID)
	e.text("connectionId", m.ConnectionID)
	e.integer("timestamp", m.Timestamp)
	e.raw("extras", m.Extras)
	if appendSerial == nil {
		e.text("serial", m.Serial)
	} else {
		e.name("serial")
		e.writePlain(appendSerial)
	}
	e.alwaysInteger("action", int64(m.Action))
	if m.Version != nil {
		e.name("version")
		m.Version.encode(e)
	}
	e.end()
}

func (v *Version) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "serial":
			v.Serial = d.text()
		case "timestamp":
			v.Timestamp = d.integer()
		case "clientId":
			v.ClientID = d.text()
		default:
			d.skip()
		}
	}
}

func (v *Version) encode(e *encoder) {
	e.begin()
	e.text("serial", v.Serial)
	e.integer("timestamp", v.Timestamp)
	e.text("clientId", v.ClientID)
	e.end()
}

// clientID reads who a message says it is from. Nobody is called "" or "*".
func (d *decoder) clientID() []byte {
	var id []byte
	switch d.kind() {
	case kindText:
		id = d.readBytes(BadClientID)
	case kindNull:
		d.skip()
		return nil
	default:
		d.skip()
	}
	if len(id) == 0 || string(id) == "*" {
		d.refuse(BadClientID, "a client id is a string, and not empty or *")
	}
	return id
}

// extras reads the extras, which are an object.
func (d *decoder) extras() string {
	switch d.kind() {
	case kindNull, kindTable:
		return d.raw()
	}
	d.refuse(BadExtras, "extras must be an object")
	d.skip()
	return ""
}

// Messages are what one publish by REST has: one message or a list of them.
type Messages []*Message

// Check tells what is wrong with the first message that has a fault, or nil.
func (l Messages) Check() *ErrorInfo {
	for _, m := range l {
		if p := m.Check(); p != nil {
			return p
		}
	}
	return nil
}

// Size is what they count against the limit for messages together.
func (l Messages) Size() (n int) {
	for _, m := range l {
		n += m.Size()
	}
	return n
}

func (l *Messages) decode(d *decoder) {
	if d.kind() == kindTable {
		m := new(Message)
		m.decode(d)
		*l = Messages{m}
		return
	}
	for range d.elements {
		if len(*l) == MaxMessages {
			d.refuse(TooManyMessages, "at most %d", MaxMessages)
			d.skip()
			continue
		}
		l.add().decode(d)
	}
}

// add makes the list longer by a message, which is one that Reset has left there if
// it can be.
func (l *Messages) add() *Message {
	n := len(*l)
	if n == cap(*l) || (*l)[:n+1][n] == nil {
		*l = append(*l, new(Message))
	} else {
		*l = (*l)[:n+1]
	}
	return (*l)[n]
}

func (l *Messages) encode(e *encoder) { writeList(e, *l) }
