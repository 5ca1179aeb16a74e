package rest

import (
	"cmp"
	"encoding/base64"
	"slices"
	"strings"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// presence answers GET /channels/{channel}/presence.
func (c *call) presence() (*answer, error) {
	name, err := c.channelFor("subscribe", "presence")
	if err != nil {
		return nil, err
	}
	limit, err := c.limit()
	if err != nil {
		return nil, err
	}
	after, err := memberOf(c.query.Get("cursor"))
	if err != nil {
		return nil, err
	}
	members, err := c.app.Members(c.r.Context(), name)
	if err != nil {
		return nil, err
	}
	clientID, connectionID := c.query.Get("clientId"), c.query.Get("connectionId")
	members = slices.DeleteFunc(slices.Clone(members), func(m *hub.Message) bool {
		return clientID != "" && m.ClientID != clientID || connectionID != "" && m.ConnectionID != connectionID ||
			after != "" && memberKey(m) <= after
	})
	slices.SortFunc(members, func(a, b *hub.Message) int { return cmp.Compare(memberKey(a), memberKey(b)) })
	next := ""
	if len(members) > limit {
		members = members[:limit]
		next = base64.RawURLEncoding.EncodeToString([]byte(memberKey(members[limit-1])))
	}
	list := make(ably.PresenceMessages, len(members))
	for i, m := range members {
		list[i] = lexicon.Member(m)
	}
	return &answer{body: &list, links: c.links(next)}, nil
}

// memberKey is what members are in order by.
func memberKey(m *hub.Message) string { return m.ClientID + "\x00" + m.ConnectionID }

// memberOf reads a cursor that is a member's key.
func memberOf(cursor string) (string, error) {
	if cursor == "" {
		return "", nil
	}
	key, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil || !strings.Contains(string(key), "\x00") {
		return "", ably.Err(ably.StaleCursor)
	}
	return string(key), nil
}
