package realtime

import (
	"context"
	"maps"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// reauthorize takes a token that the client has sent.
func (t *transport) reauthorize(p *ably.ProtocolMessage) error {
	if p.Auth == nil || p.Auth.AccessToken == "" {
		return t.fail(ably.Errorf(ably.BadCredential, "AUTH without a token"))
	}
	now := t.grant.Load()
	ctx, cancel := context.WithTimeout(t.ctx, attachTimeout)
	defer cancel()
	g, err := t.server.o.Access.Renew(ctx, now, usher.NewSecret(p.Auth.AccessToken))
	switch {
	case err != nil:
		return t.fail(ably.ErrorOf(err))
	case g.App != now.App:
		return t.fail(ably.Errorf(ably.IncompatibleCredential, "the token is of another app"))
	}
	if g, err = renewed(now, g); err != nil {
		return t.fail(ably.ErrorOf(err))
	}
	t.adopt(g)
	t.state.mu.Lock()
	t.state.clientID = g.ClientID
	t.state.mu.Unlock()
	t.connected(nil)
	for _, c := range maps.Clone(t.channels) {
		t.regrant(c)
	}
	return nil
}

// regrant gives an attachment what the new grant lets it have.
func (t *transport) regrant(c *channel) {
	granted := t.grant.Load().modes(c.asked, c.hub)
	switch granted {
	case c.granted:
	case 0:
		t.leave(c)
		t.channelError(c.name, ably.Err(ably.NotPermitted))
	default:
		to := &channel{asked: c.asked, granted: granted, params: c.params}
		to.metrics.Store(c.metrics.Load())
		t.change(c, to, &ably.ProtocolMessage{})
	}
}
