package rest

import (
	"encoding/base64"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/lexicon"
)

// status answers GET /channels/{channel}.
func (c *call) status() (*answer, error) {
	name, err := c.channelFor("channel-metadata")
	if err != nil {
		return nil, err
	}
	o, active, err := c.app.Occupied(c.r.Context(), name)
	if err != nil {
		return nil, err
	}
	return ok(&ably.ChannelStatus{Channel: c.path[1], Active: active, Occupancy: lexicon.Occupancy(o)}), nil
}

// channels answers GET /channels: those that somebody uses.
func (c *call) channels() (*answer, error) {
	if bad := c.grant.MayAnywhere("channel-metadata"); bad != nil {
		return nil, bad
	}
	done, bad := c.server.under.begin(c.listing())
	if bad != nil {
		return nil, bad
	}
	defer done()
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := base64.RawURLEncoding.DecodeString(c.query.Get("cursor"))
	if err != nil {
		return nil, ably.Err(ably.StaleCursor)
	}
	by := c.query.Get("by")
	if by != "" && by != "id" && by != "value" {
		return nil, ably.Errorf(ably.BadParameter, "by is id or value")
	}
	found, err := c.app.Channels(c.r.Context(), c.query.Get("prefix"), string(after), limit+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(found) > limit {
		found = found[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(found[limit-1].Name))
	}
	list := &ably.ChannelStatuses{NamesOnly: by == "id"}
	for _, one := range found {
		list.List = append(list.List, &ably.ChannelStatus{
			Channel: one.Name, Active: one.Active, Occupancy: lexicon.Occupancy(one.Occupancy), Uncounted: one.Uncounted,
		})
	}
	return &answer{body: list, links: c.links(next)}, nil
}
