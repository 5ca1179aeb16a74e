package rest

import (
	"cmp"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// history answers GET /channels/{channel}/messages, or …/history.
func (c *call) history() (*answer, error) {
	page, err := c.past(hub.Messages)
	if err != nil {
		return nil, err
	}
	list := make(ably.Messages, len(page.Messages))
	for i, p := range page.Messages {
		list[i] = lexicon.Past(p)
	}
	return &answer{body: &list, links: c.links(cursorOf(page.Next))}, nil
}

// presenceHistory answers GET /channels/{channel}/presence/history.
func (c *call) presenceHistory() (*answer, error) {
	page, err := c.past(hub.Presence)
	if err != nil {
		return nil, err
	}
	list := make(ably.PresenceMessages, len(page.Messages))
	for i, p := range page.Messages {
		list[i] = lexicon.PresenceMessage(p.Message())
	}
	return &answer{body: &list, links: c.links(cursorOf(page.Next))}, nil
}

// past reads a page of a channel's past.
func (c *call) past(kind hub.Kind) (hub.Page, error) {
	name, err := c.channelFor("history")
	if err != nil {
		return hub.Page{}, err
	}
	s, err := c.span()
	if err != nil {
		return hub.Page{}, err
	}
	q := hub.Query{Kind: kind, Start: s.start, End: s.end, Forwards: s.forwards, Limit: s.limit}
	if q.Page, err = placeOf(s.cursor); err != nil {
		return hub.Page{}, err
	}
	// SDKs differ in what they call it.
	if serial := cmp.Or(c.query.Get("from_serial"), c.query.Get("fromSerial")); serial != "" {
		at, ok := hub.ParsePosition(serial)
		if !ok {
			return hub.Page{}, ably.Errorf(ably.BadParameter, "from_serial is no serial of this server")
		}
		q.UpTo = at
	}
	return c.app.History(c.r.Context(), name, q)
}

// message answers GET /channels/{channel}/messages/{serial}.
func (c *call) message() (*answer, error) {
	m, err := c.find()
	if err != nil {
		return nil, err
	}
	return ok(m), nil
}

// versions answers GET /channels/{channel}/messages/{serial}/versions. Messages
// do not change, so there is one.
func (c *call) versions() (*answer, error) {
	m, err := c.find()
	if err != nil {
		return nil, err
	}
	return ok(&ably.Messages{m}), nil
}

// find finds a message by its serial, which is the fourth segment of the path.
func (c *call) find() (*ably.Message, error) {
	name, err := c.channelFor("history")
	if err != nil {
		return nil, err
	}
	serial := c.path[3]
	at, valid := hub.ParsePosition(serial)
	if !valid {
		return nil, ably.Errorf(ably.BadParameter, "no serial of this server")
	}
	q := hub.Query{Kind: hub.Messages, UpTo: at, Limit: ably.MaxMessages}
	page, err := c.app.History(c.r.Context(), name, q)
	if err != nil {
		return nil, err
	}
	for _, p := range page.Messages {
		if p.Serial() == serial {
			return lexicon.Past(p), nil
		}
		if p.Entry.Position < at {
			break
		}
	}
	return nil, ably.Errorf(ably.NotFound, "no such message, or no longer")
}
