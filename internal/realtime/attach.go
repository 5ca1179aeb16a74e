package realtime

import (
	"errors"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
	"github.com/usher-ws/usher/internal/within"
)

// A channel is one that the client is attached to, and what goes to the client of
// it: a cursor. It is a [hub.Waker]. The transport's turn guards it, but for what is
// said to be others'.
type channel struct {
	transport *transport
	name      string // As the client says it, with its params in brackets.
	hub       string // As the hub says it.
	cursor    *hub.Attachment
	asked     ably.Flags // The modes that were asked for.
	granted   ably.Flags
	params    ably.Params
	// metrics are those of occupancy that the client wants to know of. Whoever
	// writes reads them.
	metrics atomic.Uint32
	left    atomic.Bool // Nothing of it is to be told any more.

	// Guarded by the outbox's mu.
	announced bool // The client knows that it is attached.
	woken     bool // There is something, or was.
	listed    bool // It is in ready.
	wanted    bool // The client is to be told who is present, after the answers.

	// Owned by the writer.
	due  bool          // What wanted was, once the answers before it are written.
	sync *presenceSync // Nil while none is under way.
}

// channelError tells that a channel has failed.
func (t *transport) channelError(name string, why *ably.ErrorInfo) {
	t.send(&ably.ProtocolMessage{Action: ably.ActionError, Channel: name, ChannelGiven: true, Error: why})
}

// attach attaches to a channel, or changes how the client is attached.
func (t *transport) attach(p *ably.ProtocolMessage) {
	c, begins, info := t.wanted(p)
	if info != nil {
		t.channelError(p.Channel, info)
		return
	}
	if old := t.channels.called(p.Channel); old != nil {
		t.change(old, c, p)
		return
	}
	if as := t.attachedAs(c.hub); as != "" {
		t.channelError(p.Channel, ably.Errorf(ably.BadRequest, "attached already as %q", as))
		return
	}
	info = t.begin(c, begins, p)
	switch {
	case info == nil:
	case passes(info): // The client tries again by itself, which after an ERROR it does not.
		t.send(&ably.ProtocolMessage{Action: ably.ActionDetached, Channel: p.Channel, Error: info})
	default:
		t.channelError(p.Channel, info)
	}
}

// attachedAs is the name by which the client is attached to a channel of the
// hub, or empty. It may have others for it, of which it has one at a time: the
// hub knows one attachment.
func (t *transport) attachedAs(name string) string {
	if t.state.conn.Attachment(name) == nil {
		return ""
	}
	for _, c := range t.channels {
		if c.hub == name {
			return c.name
		}
	}
	return ""
}

// wanted reads what the client asks for, and what it may have of that; and where an
// attach begins.
func (t *transport) wanted(p *ably.ProtocolMessage) (c *channel, begins hub.Attaching, info *ably.ErrorInfo) {
	name, info := ably.ParseChannelName(p.Channel)
	if info == nil {
		info = p.Check()
	}
	if info != nil {
		return nil, begins, info
	}
	options, info := p.Params.ChannelOptions(name.Params)
	if info != nil {
		return nil, begins, info
	}
	c = &channel{transport: t, name: p.Channel, hub: name.Name, asked: options.Modes, params: options.Known}
	c.metrics.Store(uint32(options.Occupancy))
	if c.asked == 0 {
		c.asked = p.Flags.Modes()
	}
	if c.asked == 0 {
		c.asked = ably.DefaultModes
	}
	if c.granted = t.grant.Load().modes(c.asked, c.hub); c.granted == 0 {
		return nil, begins, ably.Err(ably.NotPermitted)
	}
	return c, hub.Attaching{Rewind: options.Rewind, RewindFor: options.RewindFor}, nil
}

// begin attaches to a channel that the client is not attached to.
func (t *transport) begin(c *channel, o hub.Attaching, p *ably.ProtocolMessage) *ably.ErrorInfo {
	o.Modes, o.Occupancy, o.NoEcho, o.Waker = hubModes(c.granted), c.metrics.Load() != 0, !t.set.echo, c
	o.History = t.grant.Load().may("history", c.hub) // For this, too, is to read it.
	o.Stay = t.stay
	stale := false
	if p.ChannelSerial != "" {
		at, ok := hub.ParsePosition(p.ChannelSerial)
		o.From, stale = at, !ok
	}
	if stale || p.Flags.Has(ably.AttachResume) { // Not a beginning.
		o.Rewind, o.RewindFor = 0, 0
	}
	ctx := within.New(t.ctx, attachTimeout)
	defer ctx.End()
	cursor, err := t.state.conn.Attach(ctx, c.hub, o)
	switch {
	case errors.Is(err, hub.ErrLost): // To another transport. This one is about to be closed, and owes no answer.
		return nil
	case err != nil:
		return lexicon.Refusal(err)
	}
	c.cursor = cursor
	t.channels.add(c)
	answer := c.attached(cursor.Position.String())
	switch {
	case stale, cursor.Lost:
		answer.Error = ably.Err(ably.ContinuityLost)
	case cursor.Resumed:
		answer.Flags |= ably.Resumed
	}
	if cursor.Backlog {
		answer.Flags |= ably.HasBacklog
	}
	t.out.announce(c, frame(t.set.format, answer), answer.Flags.Has(ably.HasPresence))
	return nil
}

// attached is the answer to an ATTACH, as far as it is always the same.
func (c *channel) attached(serial string) *ably.ProtocolMessage {
	p := &ably.ProtocolMessage{
		Action: ably.ActionAttached, Channel: c.name, ChannelSerial: serial, Flags: c.granted, Params: c.params,
	}
	if c.cursor.Peopled && c.granted.Has(ably.ModePresenceSubscribe) {
		p.Flags |= ably.HasPresence
	}
	return p
}

// change gives an attachment other modes and params. Nothing is sent again, and
// nothing left out.
func (t *transport) change(c, to *channel, p *ably.ProtocolMessage) {
	sees := !c.granted.Has(ably.ModePresenceSubscribe) && to.granted.Has(ably.ModePresenceSubscribe)
	c.asked, c.granted, c.params = to.asked, to.granted, to.params
	c.metrics.Store(to.metrics.Load())
	c.cursor.Change(hubModes(c.granted), c.metrics.Load() != 0)
	serial := p.ChannelSerial
	if _, ok := hub.ParsePosition(serial); !ok {
		serial = c.cursor.Position.String()
	}
	answer := c.attached(serial)
	answer.Flags = answer.Flags&^ably.HasPresence | ably.Resumed
	t.out.announce(c, frame(t.set.format, answer), sees) // Else it has missed who is present.
}

// detach leaves a channel.
func (t *transport) detach(p *ably.ProtocolMessage) {
	if c := t.channels.called(p.Channel); c != nil {
		t.leave(c)
	}
	t.send(&ably.ProtocolMessage{Action: ably.ActionDetached, Channel: p.Channel, ChannelGiven: true})
}

// leave ends an attachment. What is queued next comes after all of it.
func (t *transport) leave(c *channel) {
	c.left.Store(true)
	t.channels.remove(c)
	t.state.conn.Detach(c.cursor)
}

// take appends what the channel has to the desk's paper, until that is large. It
// reports whether there is more. It is called by the writer.
func (c *channel) take(d *desk) (more bool, err error) {
	t := c.transport
	messages, before := 0, len(d.paper)
	defer func() { t.state.app.Delivered(messages, len(d.paper)-before) }()
	if o := c.cursor.TakeOccupancy(); o != nil {
		d.paper = append(d.paper, frame(t.set.format, c.occupied(o))...)
	}
	if d.paper, more = t.takeSync(d.paper, c); more { // No entries in between.
		return true, nil
	}
	for len(d.paper) < writeSize {
		list, err := c.cursor.Take(t.ctx, d.entries[:0], takeEntries)
		switch {
		case c.left.Load(): // That it was present, and is no more, comes of its leaving.
			return false, nil
		case err == hub.ErrNotAttached: //nolint:errorlint // The hub returns it bare.
			return false, nil
		case err != nil:
			return false, err
		case len(list) == 0:
			return false, nil
		}
		for _, e := range list {
			d.paper = t.deliver(d.paper, c, e)
			messages += len(e.Messages)
		}
		clear(list)
	}
	return true, nil
}

// deliver appends the frame of an entry as this client knows its channel. One that
// nobody else gets is not kept for others.
func (t *transport) deliver(b []byte, c *channel, e *hub.Entry) []byte {
	if c.name == c.hub && !c.cursor.Alone() {
		return append(b, delivery(t.set.format, e)...)
	}
	return appendEntry(b, t.set.format, e, c.name)
}

// occupancyName is what a message that tells of occupancy is called.
const occupancyName = "[meta]occupancy"

func (c *channel) occupied(o *hub.Occupancy) *ably.ProtocolMessage {
	told := lexicon.Occupancy(*o)
	told.Metrics = ably.OccupancyMetrics(c.metrics.Load())
	text := ably.Append(nil, ably.JSON, &told)
	now := time.Now().UnixMilli()
	return &ably.ProtocolMessage{
		Action: ably.ActionMessage, Channel: c.name, Timestamp: now,
		ID:       "occupancy:" + strconv.FormatInt(now, 10),
		Messages: ably.Messages{{Name: occupancyName, Data: ably.TextData(string(text)), Encoding: "json"}},
	}
}
