package realtime

import (
	"maps"
	"net/http"
	"slices"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/lexicon"
	"github.com/usher-ws/usher/internal/within"
)

// reauthorize takes a token that the client has sent. One that is refused ends the
// connection, and is on record as a refusal at the door is.
func (t *transport) reauthorize(p *ably.ProtocolMessage) error {
	g, err := t.judge(p)
	if err != nil {
		why := usher.Refused(t.ctx, err)
		return t.fail(lexicon.Refusal(err).Explained(why.ID))
	}
	t.adopt(g)
	t.state.mu.Lock()
	t.state.clientID = g.ClientID
	t.state.mu.Unlock()
	t.connected(nil)
	t.regrantAll()
	return nil
}

// judge returns what a token allows that the client has sent.
func (t *transport) judge(p *ably.ProtocolMessage) (*Grant, error) {
	if p.Auth == nil || p.Auth.AccessToken == "" {
		return nil, ably.Errorf(ably.BadCredential, "AUTH without a token")
	}
	now := t.grant.Load()
	ctx := within.New(t.ctx, attachTimeout)
	defer ctx.End()
	g, err := t.server.o.Access.Renew(ctx, now, usher.NewSecret(p.Auth.AccessToken))
	switch {
	case err != nil:
		return nil, err
	case g.App != now.App:
		return nil, ably.Errorf(ably.IncompatibleCredential, "the token is of another app")
	}
	if g, err = renewed(now, g); err != nil {
		return nil, err
	}
	if err := t.server.makeRoom(g, func() error { return t.state.conn.Become(g.owner()) }); err != nil {
		return nil, &usher.Refusal{Status: http.StatusTooManyRequests, Code: usher.CloseTooMany, Word: "too_many", Cause: err}
	}
	return g, nil
}

// Reconsider has every connection allowed what its client may do by now. It is
// called when that may have become less for some.
func (s *Server) Reconsider() {
	s.reconsidered.Add(1) // Who is on its way in, and not among the transports yet, sees that.
	s.mu.Lock()
	defer s.mu.Unlock()
	all := slices.Collect(maps.Keys(s.transports))
	s.later(func() {
		for _, t := range all {
			now := t.grant.Load()
			g, err := s.o.Access.Again(t.ctx, now)
			if err != nil || g.Permissions.Capability() != now.Permissions.Capability() {
				t.renewed() // By itself: its reader may be busy for long.
			}
		}
	})
}

// later does something beside the readers, unless the server is closed. Callers
// hold mu.
func (s *Server) later(f func()) {
	if !s.closed {
		s.wg.Go(f)
	}
}

// renewed is told of a fresh identity that the client has not sent here.
func (t *transport) renewed() {
	t.server.mu.Lock()
	defer t.server.mu.Unlock()
	t.server.later(t.reconsider)
}

// reconsider gives the client what it may do by now, and no more.
func (t *transport) reconsider() {
	defer t.caught()
	t.turn.Lock()
	defer t.turn.Unlock()
	if t.over {
		return
	}
	now := t.grant.Load()
	g, err := t.server.o.Access.Again(t.ctx, now)
	switch {
	case err != nil:
	case g.App != now.App: // The identity is of the one app that there is, which is another by now.
		err = ably.Errorf(ably.IncompatibleCredential, "the app is another by now")
	default:
		g, err = renewed(now, g)
	}
	switch why := ably.ErrorOf(err); {
	case err == nil:
		t.adopt(g)
		t.regrantAll()
	case why.Code.Renewable():
		_ = t.finish(&ably.ProtocolMessage{Action: ably.ActionDisconnected, Error: why}) // Which never fails.
	default:
		_ = t.fail(why)
	}
}

func (t *transport) regrantAll() {
	for _, c := range slices.Clone(t.channels) {
		t.regrant(c)
	}
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
