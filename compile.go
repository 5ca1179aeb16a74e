package usher

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
)

// A guardState is a Guard made ready: what can be decided once is decided here,
// and not at every request.
type guardState struct {
	carriers     []Carrier
	first        *Carrier // The FirstMessage carrier, or nil.
	ticket       *Carrier // The Ticket carrier, or nil.
	basic        bool
	bearer       bool
	csrf         bool
	cookie       bool
	subprotocol  bool
	params       map[string]struct{} // Query parameters to cut out.
	cookies      map[string]struct{} // Cookies to cut out.
	policy       originPolicy
	proxies      []netip.Prefix
	subprotocols []string
	route        string
	limits       Limits
	room         waitingRoom
	deny         func(http.ResponseWriter, *http.Request, error)
	sessions     *Sessions
	observe      func(context.Context, Event)
	log          *slog.Logger
	invalid      error
}

// compile makes the Guard ready, once.
func (g *Guard) compile() *guardState {
	g.once.Do(func() {
		s := &guardState{
			policy: newOriginPolicy(g), proxies: g.TrustedProxies, subprotocols: g.Subprotocols,
			route: g.Route, limits: g.Limits.withDefaults(), deny: g.Deny, log: g.Log,
			sessions: g.Sessions, observe: g.Observe,
			params:  map[string]struct{}{tokenParam: {}, ticketParam: {}},
			cookies: make(map[string]struct{}),
		}
		if s.log == nil {
			s.log = slog.Default()
		}
		if s.sessions == nil {
			s.sessions = new(Sessions)
		}
		s.room.max, s.room.maxPerAddress = s.limits.Pending, s.limits.PendingPerAddress
		s.carriers = append(s.carriers, g.Carriers...)
		for i := range s.carriers {
			s.learn(&s.carriers[i])
		}
		if err := g.Validate(); err != nil {
			s.invalid = fmt.Errorf("%w: %w", errFault, err)
			s.log.Error("guard lets nobody in", "reason", err.Error())
		}
		g.state = s
	})
	return g.state
}

// learn notes what a carrier needs.
func (g *guardState) learn(c *Carrier) {
	switch c.name {
	case carrierTicket:
		g.params[c.param] = struct{}{}
		g.ticket = c
	case carrierQuery:
		g.params[c.param] = struct{}{}
	case carrierSubprotocol:
		g.subprotocol = true
	case carrierFirstMessage:
		g.first = c
	case carrierCookie:
		g.cookies[c.param] = struct{}{}
		g.cookie = true
		if c.csrf != nil {
			g.csrf = true
			g.params[csrfParam] = struct{}{}
		}
	case carrierBasic:
		g.basic = true
	case carrierBearer:
		g.bearer = true
	}
}

// Validate says what is wrong with the Guard's fields, all of it, or nil. A
// Guard without carriers is valid, and lets nobody in.
func (g *Guard) Validate() error {
	errs := []error{g.validateOrigins()}
	for _, p := range g.Subprotocols {
		if !isToken(p) || strings.HasPrefix(strings.ToLower(p), ownSubprotocols) {
			errs = append(errs, fmt.Errorf("Subprotocols: %q is no subprotocol of an application", p))
		}
	}
	if l := g.Limits; l.Pending < 0 || l.PendingPerAddress < 0 || l.FirstMessage < 0 || l.Verify < 0 {
		errs = append(errs, errors.New("Limits: negative; leave a field 0 for its default"))
	}
	has := make(map[string]int)
	for i, c := range g.Carriers {
		has[c.name]++
		errs = append(errs, c.validate(g))
		if c.name == carrierFirstMessage && i != len(g.Carriers)-1 {
			errs = append(errs, errors.New("Carriers: FirstMessage must be the last"))
		}
	}
	for name, n := range has {
		if n > 1 && name != carrierQuery && name != carrierCookie {
			errs = append(errs, fmt.Errorf("Carriers: %s twice: join its verifiers with AnyOf", name))
		}
	}
	if has[carrierBasic] > 0 && has[carrierFirstMessage] > 0 {
		errs = append(errs, errors.New("Carriers: Basic answers 401 where FirstMessage would wait: give them routes of their own"))
	}
	return errors.Join(errs...)
}

func (g *Guard) validateOrigins() error {
	var errs []error
	for _, o := range g.Origins {
		if _, err := parseOrigin(o); err != nil {
			errs = append(errs, fmt.Errorf("Origins: %w", err))
		}
	}
	for _, h := range g.Hosts {
		if canonicalHost("", h) == "" {
			errs = append(errs, fmt.Errorf("Hosts: %q is not a host name, with a port or without", h))
		}
	}
	return errors.Join(errs...)
}

// validate says what is wrong with one carrier of g.
func (c *Carrier) validate(g *Guard) error {
	switch {
	case c.name == "":
		return errors.New("Carriers: an empty one: make carriers with Ticket, Bearer and the others")
	case c.name == carrierFirstMessage && c.verifier == nil:
		for _, other := range g.Carriers {
			if other.name == carrierTicket {
				return nil
			}
		}
		return errors.New("Carriers: FirstMessage without a verifier needs a Ticket carrier")
	case c.verifier == nil:
		return fmt.Errorf("Carriers: %s without a verifier", c.name)
	case c.name == carrierCookie && !isToken(c.param):
		return fmt.Errorf("Carriers: %q is no name of a cookie", c.param)
	case c.ambient() && g.InsecureAnyOrigin:
		return fmt.Errorf("InsecureAnyOrigin: not with %s, which browsers attach to what any page starts", c.name)
	}
	if c.csrf != nil {
		if err := c.csrf.Validate(); err != nil {
			return fmt.Errorf("Carriers: %s: %w", c.name, err)
		}
	}
	if v, ok := c.verifier.(interface{ Validate() error }); ok {
		if err := v.Validate(); err != nil {
			return fmt.Errorf("Carriers: %s: %w", c.name, err)
		}
	}
	return nil
}

// listsOrigin reports whether origin is one of the Guard's Origins.
func (g *Guard) listsOrigin(origin string) bool {
	_, ok := g.compile().policy.listed[origin]
	return ok
}

// ownOrigin returns the origin of pages of the host that r asks for.
func (g *Guard) ownOrigin(r *http.Request) string {
	_, scheme := g.compile().clientOf(r)
	return scheme + "://" + canonicalHost(scheme, r.Host)
}
