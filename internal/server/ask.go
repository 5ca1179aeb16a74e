package server

import (
	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/gateway"
)

// ask returns the verifier that asks a server of the user's own. The bound of
// questions at one time is for each cookie name that is sent there.
func (b *builder) ask(c *config.Ask, cookie string) (usher.Verifier, error) {
	a := &gateway.Ask{
		URL: string(c.URL), Timeout: c.Timeout, MaxConcurrent: c.MaxConcurrent, Cookie: cookie, Subject: c.Subject,
		Headers: make(map[string]string, len(c.Headers)),
	}
	for name, claim := range c.Headers {
		a.Headers[string(name)] = claim
	}
	if err := a.Validate(); err != nil {
		return nil, err
	}
	b.asks = append(b.asks, a)
	return a, nil
}
