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
	s, err := c.statusOf(name)
	if err != nil {
		return nil, err
	}
	s.Channel = c.path[1]
	return ok(s), nil
}

func (c *call) statusOf(name string) (*ably.ChannelStatus, error) {
	o, active, err := c.app.Occupied(c.r.Context(), name)
	if err != nil {
		return nil, err
	}
	return &ably.ChannelStatus{Channel: name, Active: active, Occupancy: lexicon.Occupancy(o)}, nil
}

// channels answers GET /channels: those that somebody uses.
func (c *call) channels() (*answer, error) {
	if bad := c.grant.MayAnywhere("channel-metadata"); bad != nil {
		return nil, bad
	}
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
	names, err := c.app.Channels(c.r.Context(), c.query.Get("prefix"), string(after), limit+1)
	if err != nil {
		return nil, err
	}
	next := ""
	if len(names) > limit {
		names = names[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(names[limit-1]))
	}
	list := &ably.ChannelStatuses{NamesOnly: by == "id"}
	for _, name := range names {
		s, err := c.statusOf(name)
		if err != nil {
			return nil, err
		}
		list.List = append(list.List, s)
	}
	return &answer{body: list, links: c.links(next)}, nil
}
