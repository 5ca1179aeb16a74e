package ably

// Times are the answer to what time it is: a list of one.
type Times []int64

func (t *Times) decode(d *decoder) {
	for range d.elements {
		n := d.integer()
		if len(*t) < maxMembers {
			*t = append(*t, n)
		}
	}
}

func (t *Times) encode(e *encoder) {
	e.list(len(*t))
	for _, n := range *t {
		e.element()
		e.writeInteger(n)
	}
	e.endList()
}

// A Published is the answer to a publish.
type Published struct {
	// Channel is where to.
	Channel string
	// MessageID is the id of the first message, or its base where there are more.
	MessageID string
	// Serials are those of the messages.
	Serials []string
}

func (p *Published) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "channel":
			p.Channel = d.text()
		case "messageId":
			p.MessageID = d.text()
		case "serials":
			p.Serials = d.texts()
		default:
			d.skip()
		}
	}
}

func (p *Published) encode(e *encoder) {
	e.begin()
	e.alwaysText("channel", p.Channel)
	e.text("messageId", p.MessageID)
	e.serials("serials", p.Serials)
	e.end()
}

// A ChannelStatus tells of a channel.
type ChannelStatus struct {
	// Channel is its name.
	Channel string
	// Active says that somebody uses it.
	Active bool
	// Occupancy is how many, unless it is Uncounted: then nothing is said of that.
	Occupancy Occupancy
	Uncounted bool
}

func (c *ChannelStatus) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "channelId":
			c.Channel = d.text()
		case "status":
			c.Uncounted = true
			for name := range d.members {
				switch string(name) {
				case "isActive":
					c.Active = d.boolean()
				case "occupancy":
					c.Uncounted = false
					c.Occupancy.decode(d)
				default:
					d.skip()
				}
			}
		default:
			d.skip()
		}
	}
}

func (c *ChannelStatus) encode(e *encoder) {
	e.begin()
	e.alwaysText("channelId", c.Channel)
	e.name("status")
	e.begin()
	e.name("isActive")
	e.writeBool(c.Active)
	if !c.Uncounted {
		e.name("occupancy")
		c.Occupancy.encode(e)
	}
	e.end()
	e.end()
}

// ChannelStatuses are an enumeration of channels.
type ChannelStatuses struct {
	// List has the channels.
	List []*ChannelStatus
	// NamesOnly leaves all but the names out.
	NamesOnly bool
}

func (c *ChannelStatuses) decode(d *decoder) {
	for range d.elements {
		s := new(ChannelStatus)
		if d.kind() == kindText {
			c.NamesOnly = true
			s.Channel = d.text()
		} else {
			s.decode(d)
		}
		if len(c.List) < maxMembers {
			c.List = append(c.List, s)
		}
	}
}

func (c *ChannelStatuses) encode(e *encoder) {
	if !c.NamesOnly {
		writeList(e, c.List)
		return
	}
	e.list(len(c.List))
	for _, s := range c.List {
		e.element()
		e.writeText(s.Channel)
	}
	e.endList()
}
