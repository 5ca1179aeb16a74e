package ably

// ConnectionDetails tell a client about its connection. Those that are 0 say so.
type ConnectionDetails struct {
	// ConnectionKey resumes or recovers the connection. It is a secret.
	ConnectionKey string
	// ClientID is who the client is, "*" for one that may be anybody, empty for
	// one that is nobody.
	ClientID string
	// MaxMessageSize is how large a publish may be, in bytes.
	MaxMessageSize int
	// MaxFrameSize is how large a frame may be, in bytes.
	MaxFrameSize int
	// MaxInboundRate is how many messages the client may send each second.
	MaxInboundRate int
	// ServerID names the server.
	ServerID string
	// StateTTL is how long the connection's state is kept without a transport, in
	// milliseconds.
	StateTTL int64
	// MaxIdle is how long nothing may come from the server, in milliseconds.
	MaxIdle int64
}

func (c *ConnectionDetails) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "connectionKey":
			c.ConnectionKey = d.text()
		case "clientId":
			c.ClientID = d.text()
		case "maxMessageSize":
			c.MaxMessageSize = int(d.integer())
		case "maxFrameSize":
			c.MaxFrameSize = int(d.integer())
		case "maxInboundRate":
			c.MaxInboundRate = int(d.integer())
		case "serverId":
			c.ServerID = d.text()
		case "connectionStateTtl":
			c.StateTTL = d.integer()
		case "maxIdleInterval":
			c.MaxIdle = d.integer()
		default:
			d.skip()
		}
	}
}

func (c *ConnectionDetails) encode(e *encoder) {
	e.begin()
	e.text("connectionKey", c.ConnectionKey)
	e.text("clientId", c.ClientID)
	e.integer("maxMessageSize", int64(c.MaxMessageSize))
	e.integer("maxFrameSize", int64(c.MaxFrameSize))
	e.integer("maxInboundRate", int64(c.MaxInboundRate))
	e.text("serverId", c.ServerID)
	e.alwaysInteger("connectionStateTtl", c.StateTTL)
	e.alwaysInteger("maxIdleInterval", c.MaxIdle)
	e.end()
}
