package usher

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/usher-ws/usher/internal/alarm"
)

// A guardState is a Guard made ready: what can be decided once is decided here,
// and not at every request.
type guardState struct {
	extract      extractor
	first        *Carrier // The FirstMessage carrier, or nil.
	ticket       *Carrier // The Ticket carrier, or nil.
	basic        bool
	bearer       bool
	policy       originPolicy
	proxies      proxies
	subprotocols []string
	route        string
	require      Requirement
	limits       Limits
	room         waitingRoom // Sockets that the Guard has answered itself.
	judging      waitingRoom // Requests whose credential is with its verifier.
	detach       bool
	deny         func(http.ResponseWriter, *http.Request, error)
	sessions     *Sessions
	clock        alarm.Clock // Of the leases.
	observe      func(context.Context, Event)
	log          *slog.Logger
	invalid      error
}

// compile makes the Guard ready, once.
func (g *Guard) compile() *guardState {
	g.once.Do(func() {
		s := &guardState{
			extract: newExtractor(g.Carriers), policy: newOriginPolicy(g), proxies: g.TrustedProxies,
			subprotocols: g.Subprotocols, route: g.Route, require: g.Require, limits: g.Limits.withDefaults(), deny: g.Deny,
			sessions: g.Sessions, observe: g.Observe, log: g.Log, detach: g.Detach,
		}
		if s.log == nil {
			s.log = slog.Default()
		}
		if s.sessions == nil {
			s.sessions = &Sessions{private: true}
		}
		s.room.max, s.room.maxPerAddress = s.limits.Pending, s.limits.PendingPerAddress
		// Not by address: many users may be behind one, and each brought a credential.
		s.judging.max = s.limits.Verifying
		for i := range s.extract.carriers {
			switch c := &s.extract.carriers[i]; c.name {
			case carrierTicket:
				s.ticket = c
			case carrierFirstMessage:
				s.first = c
			case carrierBasic:
				s.basic = true
			case carrierBearer:
				s.bearer = true
			}
		}
		if err := g.Validate(); err != nil {
			s.invalid = fmt.Errorf("%w: %w", errFault, err)
			s.log.Error("guard lets nobody in", "reason", err.Error())
		}
		g.state = s
	})
	return g.state
}
