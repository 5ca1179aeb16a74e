package usher

import (
	"errors"
	"fmt"
	"strings"
)

// Validate says what is wrong with the Guard's fields, all of it, or nil. A
// Guard without carriers is valid, and lets nobody in.
func (g *Guard) Validate() error {
	errs := []error{g.validateOrigins(), g.Require.validate()}
	for _, p := range g.Subprotocols {
		if !isToken(p) || strings.HasPrefix(strings.ToLower(p), ownSubprotocols) {
			errs = append(errs, fmt.Errorf("Subprotocols: %q is no subprotocol of an application", p))
		}
	}
	if l := g.Limits; l.Pending < 0 || l.PendingPerAddress < 0 || l.Verifying < 0 || l.FirstMessage < 0 || l.Verify < 0 ||
		l.Lifetime < 0 || l.PerIdentity < 0 {
		errs = append(errs, errors.New("Limits: negative; leave a field 0 for its default"))
	}
	return errors.Join(append(errs, g.validateCarriers())...)
}

func (g *Guard) validateCarriers() error {
	var errs []error
	has := make(map[string]bool)
	for i, c := range g.Carriers {
		errs = append(errs, c.validate(g))
		if c.name == carrierFirstMessage && i != len(g.Carriers)-1 {
			errs = append(errs, errors.New("Carriers: FirstMessage must be the last"))
		}
		what := c.name
		if c.name == carrierQuery || c.name == carrierCookie {
			what += " " + c.param // Several are fine, under names of their own.
		}
		if has[what] {
			errs = append(errs, fmt.Errorf("Carriers: %s twice: join its verifiers with AnyOf", what))
		}
		has[what] = true
	}
	if has[carrierBasic] && has[carrierFirstMessage] {
		errs = append(errs, errors.New("Carriers: Basic answers 401 where FirstMessage would wait: give them routes of their own"))
	}
	return errors.Join(errs...)
}

func (g *Guard) validateOrigins() error {
	var errs []error
	for _, o := range g.Origins {
		if err := validateOrigin(o); err != nil {
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
