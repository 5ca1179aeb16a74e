package ably

// MaxBatchChannels is how many channels a batch may go to.
const MaxBatchChannels = 100

// A BatchSpec says what is published where: all the messages to each channel.
type BatchSpec struct {
	// Channels are where to.
	Channels []string
	// Messages are what.
	Messages Messages
}

// BatchSpecs are a batch: one spec, or a list of them.
type BatchSpecs struct {
	// List has the specs.
	List []*BatchSpec
	// Single says that it was one spec without a list, and that the answer is one
	// as well.
	Single bool
}

func (b *BatchSpecs) decode(d *decoder) {
	if b.Single = d.kind() == kindTable; b.Single {
		b.List = []*BatchSpec{new(BatchSpec)}
		b.List[0].decode(d)
		return
	}
	for range d.elements {
		if len(b.List) == MaxBatchChannels {
			d.refuse(BadRequest, "at most %d specs in a batch", MaxBatchChannels)
			d.skip()
			continue
		}
		s := new(BatchSpec)
		s.decode(d)
		b.List = append(b.List, s)
	}
}

func (b *BatchSpecs) encode(e *encoder) {
	if b.Single {
		b.List[0].encode(e)
		return
	}
	writeList(e, b.List)
}

func (s *BatchSpec) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "channels":
			s.Channels = d.textOrTexts()
		case "messages":
			s.Messages.decode(d)
		default:
			d.skip()
		}
	}
}

func (s *BatchSpec) encode(e *encoder) {
	e.begin()
	e.texts("channels", s.Channels)
	encodeList(e, "messages", s.Messages)
	e.end()
}

// A BatchResult is what became of a batch, one result for each of its parts, in
// order.
type BatchResult struct {
	// Results say what became of each.
	Results []*BatchPart
}

// A BatchPart is what became of one part of a batch.
type BatchPart struct {
	// Channel or Target is what it is about.
	Channel, Target string
	// Error is why it failed. Nil: it did not.
	Error *ErrorInfo
	// MessageID and Serials are those of a publish.
	MessageID string
	Serials   []string
	// Presence are the members of the channel, where those were asked for: nil
	// where they were not.
	Presence *PresenceMessages
	// IssuedBefore and AppliesAt are those of a revocation, in milliseconds since
	// 1970.
	IssuedBefore, AppliesAt int64
}

func (b *BatchResult) decode(d *decoder) {
	for name := range d.members {
		if string(name) != "results" {
			d.skip()
			continue
		}
		for range d.elements {
			p := new(BatchPart)
			p.decode(d)
			if len(b.Results) < maxMembers {
				b.Results = append(b.Results, p)
			}
		}
	}
}

func (b *BatchResult) encode(e *encoder) {
	failed := 0
	for _, p := range b.Results {
		if p.Error != nil {
			failed++
		}
	}
	e.begin()
	e.alwaysInteger("successCount", int64(len(b.Results)-failed))
	e.alwaysInteger("failureCount", int64(failed))
	e.name("results")
	writeList(e, b.Results)
	e.end()
}

func (p *BatchPart) decode(d *decoder) {
	for name := range d.members {
		switch string(name) {
		case "channel":
			p.Channel = d.text()
		case "target":
			p.Target = d.text()
		case "error":
			p.Error = new(ErrorInfo)
			p.Error.decode(d)
		case "messageId":
			p.MessageID = d.text()
		case "serials":
			p.Serials = d.texts()
		case "presence":
			p.Presence = new(PresenceMessages)
			p.Presence.decode(d)
		case "issuedBefore":
			p.IssuedBefore = d.integer()
		case "appliesAt":
			p.AppliesAt = d.integer()
		default:
			d.skip()
		}
	}
}

func (p *BatchPart) encode(e *encoder) {
	e.begin()
	e.text("channel", p.Channel)
	e.text("target", p.Target)
	if p.Error != nil {
		e.name("error")
		p.Error.encode(e)
		e.end()
		return
	}
	e.text("messageId", p.MessageID)
	if len(p.Serials) > 0 {
		e.serials("serials", p.Serials)
	}
	if p.Presence != nil {
		e.name("presence")
		p.Presence.encode(e)
	}
	e.integer("issuedBefore", p.IssuedBefore)
	e.integer("appliesAt", p.AppliesAt)
	e.end()
}

// BatchResults are what became of the specs of a batch.
type BatchResults struct {
	// List has a result for each spec.
	List []*BatchResult
	// Single says that the batch was one spec without a list.
	Single bool
}

func (b *BatchResults) decode(d *decoder) {
	if b.Single = d.kind() == kindTable; b.Single {
		b.List = []*BatchResult{new(BatchResult)}
		b.List[0].decode(d)
		return
	}
	for range d.elements {
		r := new(BatchResult)
		r.decode(d)
		if len(b.List) < maxMembers {
			b.List = append(b.List, r)
		}
	}
}

func (b *BatchResults) encode(e *encoder) {
	if b.Single {
		b.List[0].encode(e)
		return
	}
	writeList(e, b.List)
}

// An OldBatch is what became of a batch, as versions 1 and 2 of the protocol have
// it: a list of its parts, inside of an error if one of them failed.
type OldBatch struct {
	// Parts say what became of each.
	Parts []*BatchPart
	// Error says that some failed. Nil: none.
	Error *ErrorInfo
}

func (b *OldBatch) decode(d *decoder) {
	parts := func() {
		for range d.elements {
			p := new(BatchPart)
			p.decode(d)
			if len(b.Parts) < maxMembers {
				b.Parts = append(b.Parts, p)
			}
		}
	}
	if d.kind() == kindList {
		parts()
		return
	}
	for name := range d.members {
		switch string(name) {
		case "error":
			b.Error = new(ErrorInfo)
			b.Error.decode(d)
		case "batchResponse":
			parts()
		default:
			d.skip()
		}
	}
}

func (b *OldBatch) encode(e *encoder) {
	if b.Error == nil {
		writeList(e, b.Parts)
		return
	}
	e.begin()
	e.name("error")
	b.Error.encode(e)
	e.name("batchResponse")
	writeList(e, b.Parts)
	e.end()
}
