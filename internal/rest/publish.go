package rest

import (
	"net/http"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// publish answers POST /channels/{channel}/messages.
func (c *call) publish() (*answer, error) {
	name, err := c.channelFor("publish")
	if err != nil {
		return nil, err
	}
	var list ably.Messages
	if c.query.Get("enveloped") == "false" {
		list, err = c.readBare()
	} else {
		err = c.read(&list)
	}
	if err != nil {
		return nil, err
	}
	if c.query.Get("_forceNack") == "true" {
		return nil, ably.Err(ably.ForcedNack)
	}
	done, err := c.publishTo(name, list)
	if err != nil {
		return nil, err
	}
	done.Channel = c.path[1]
	return &answer{status: http.StatusCreated, body: done}, nil
}

// publishTo publishes to a channel where the client may.
func (c *call) publishTo(name string, list ably.Messages) (*ably.Published, error) {
	if len(list) == 0 {
		return nil, ably.Errorf(ably.BadMessage, "no messages")
	}
	if bad := list.Check(); bad != nil {
		return nil, bad
	}
	user, said := c.grant.Claims.User(name)
	p := hub.Publication{Channel: name, Messages: lexicon.Messages(list)}
	for i, m := range list {
		sender, bad := c.grant.Sender(m.ClientID)
		if bad != nil {
			return nil, bad
		}
		p.Messages[i].ClientID, p.Messages[i].Extras = sender, ably.ClaimExtras(m.Extras, user, said)
		connection, bad := c.behalf(m.ConnectionKey)
		if bad != nil || i > 0 && connection != p.ConnectionID {
			return nil, ably.Err(ably.BadConnectionKey)
		}
		p.ConnectionID = connection
	}
	if perSecond, limited := c.grant.Claims.MaxRate(name); limited && !c.server.rates.Take(c.grant.Holder, name, len(list), perSecond) {
		return nil, ably.Err(ably.ConnectionRateLimited)
	}
	receipt, err := c.app.Publish(c.r.Context(), c.grant.Key, p)
	if err != nil {
		return nil, err
	}
	done := &ably.Published{Channel: name, MessageID: p.Messages[0].ID}
	for i := range list {
		done.Serials = append(done.Serials, receipt.Position.Serial(i))
	}
	return done, nil
}

// behalf returns the connection on whose behalf a message is published, if it has
// that one's key.
func (c *call) behalf(key string) (string, *ably.ErrorInfo) {
	if key == "" {
		return "", nil
	}
	if find := c.server.o.Connection; find != nil {
		if id, ok := find(c.grant.App, key); ok {
			return id, nil
		}
	}
	return "", ably.Err(ably.BadConnectionKey)
}
