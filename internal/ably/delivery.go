package ably

// A Delivery is a MESSAGE of what was published at once, for those who get it. It is
// written without being made first, as each publish has one.
type Delivery struct {
	// ID begins the ids of the messages that have none of their own.
	ID string
	// Channel is the channel, ConnectionID the publisher's, and Timestamp when it was
	// published, in milliseconds since 1970.
	Channel, ConnectionID string
	Timestamp             int64
	// AppendPlace appends the place in the channel, in which there is nothing to
	// escape.
	AppendPlace func(b []byte) []byte
	// Count is how many messages there are. Write writes one over another, but for
	// its serial, which AppendSerial appends as AppendPlace does.
	Count        int
	Write        func(m *Message, index int)
	AppendSerial func(b []byte, index int) []byte
}

// Append appends it to b, as Append does with such a ProtocolMessage.
func (d *Delivery) Append(b []byte, f Format) []byte {
	e := newEncoder(b, f)
	e.begin()
	e.alwaysInteger("action", int64(ActionMessage))
	e.text("id", d.ID)
	e.text("channel", d.Channel)
	e.name("channelSerial")
	e.writePlain(d.AppendPlace)
	e.text("connectionId", d.ConnectionID)
	e.integer("timestamp", d.Timestamp)
	e.name("messages")
	e.list(d.Count)
	for i := range d.Count {
		e.element()
		d.Write(&e.message, i)
		e.message.write(e, func(b []byte) []byte { return d.AppendSerial(b, i) })
	}
	e.endList()
	e.end()
	return e.release()
}
