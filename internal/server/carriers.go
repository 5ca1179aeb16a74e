package server

import (
	"fmt"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
)

// carriers returns the carriers of a route, in its order.
func (b *builder) carriers(list []*config.Carrier) ([]usher.Carrier, error) {
	carriers := make([]usher.Carrier, 0, len(list))
	for i, c := range list {
		made, err := b.carrier(c)
		if err != nil {
			return nil, fmt.Errorf("carriers[%d] %s: %w", i, c.Name(), err)
		}
		carriers = append(carriers, made)
	}
	return carriers, nil
}

func (b *builder) carrier(c *config.Carrier) (usher.Carrier, error) {
	if c.Ticket != nil { // Its verifiers are the desk's.
		return usher.Ticket(c.Ticket.Param, b.tickets), nil
	}
	if c.FirstMessage != nil {
		return b.firstMessage(c.FirstMessage)
	}
	cookie := ""
	if c.Cookie != nil {
		cookie = c.Cookie.Name
	}
	v, err := b.anyOf(c.VerifierNames(), cookie)
	if err != nil {
		return usher.Carrier{}, err
	}
	switch {
	case c.Subprotocol != nil:
		return usher.Subprotocol(v), nil
	case c.Cookie != nil && c.Cookie.CSRF:
		return usher.CookieCSRF(cookie, b.csrf, v), nil
	case c.Cookie != nil:
		return usher.Cookie(cookie, v), nil
	case c.Query != nil:
		return usher.Query(c.Query.Param, v), nil
	case c.Bearer != nil:
		return usher.Bearer(v), nil
	}
	return usher.Basic(v), nil
}

func (b *builder) firstMessage(c *config.FirstMessage) (usher.Carrier, error) {
	form := usher.MessageForm{Type: c.Type, Token: c.Token}
	if len(c.Verify) == 0 {
		return usher.FirstMessageForm(form, nil), nil // Tickets only.
	}
	v, err := b.anyOf(c.Verify, "")
	if err != nil {
		return usher.Carrier{}, err
	}
	return usher.FirstMessageForm(form, v), nil
}
