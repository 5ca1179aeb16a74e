package server

import (
	"fmt"
	"slices"

	"github.com/usher-ws/usher"
)

// renewPath is where pages bring fresh credentials for their live connections.
const renewPath = ownPrefix + "sessions/renew"

// renewal makes the Guard that judges fresh credentials for a route's connections
// and adds it to those of other routes. Whatever carried the first one, a token
// comes as Bearer now and a cookie as a cookie, and is judged by the route's own
// verifiers. A password has nothing that could be renewed.
func (b *builder) renewal(r *route, to map[string]*usher.Guard) error {
	var tokens []string
	cookies := make(map[string][]string)
	var order []string // Of cookies: one that comes first is tried first.
	take := func(cookie string, names []string) {
		if !slices.Contains(order, cookie) {
			order = append(order, cookie)
		}
		cookies[cookie] = union(cookies[cookie], names)
	}
	for _, c := range r.config.Carriers {
		switch {
		case c.Basic != nil:
		case c.Cookie != nil:
			take(c.Cookie.Name, c.Cookie.Verify)
		case c.Ticket != nil:
			names := c.Ticket.Verify
			if len(names) == 0 {
				names = deskVerifiers(r.config)
			}
			if tokens = union(tokens, names); c.Ticket.Cookie != "" {
				take(c.Ticket.Cookie, names)
			}
		default:
			tokens = union(tokens, c.VerifierNames())
		}
	}
	var carriers []usher.Carrier
	if len(tokens) > 0 {
		v, err := b.anyOf(tokens, "")
		if err != nil {
			return fmt.Errorf("renewal: %w", err)
		}
		carriers = append(carriers, usher.Bearer(forRoute{v, r.name}))
	}
	for _, name := range order {
		v, err := b.anyOf(cookies[name], name)
		if err != nil {
			return fmt.Errorf("renewal: %w", err)
		}
		carriers = append(carriers, usher.Cookie(name, forRoute{v, r.name}))
	}
	if len(carriers) == 0 {
		return nil
	}
	g := b.newGuard(r.config, renewPath, carriers)
	if err := g.Validate(); err != nil {
		return fmt.Errorf("renewal: %w", err)
	}
	to[r.name] = g
	return nil
}

// union returns the names in a and in b, each once, in this order.
func union(a, b []string) []string {
	for _, name := range b {
		if !slices.Contains(a, name) {
			a = append(a, name)
		}
	}
	return a
}
