package issuer

import (
	"errors"
	"strings"
)

// An Event is a request that an endpoint has answered. All that is in it are words
// of this package.
type Event struct {
	// Endpoint is "token", "revoke" or "introspect".
	Endpoint string
	// Grant is "client_credentials", "refresh_token" or "token_exchange", at the
	// token endpoint, and "" for none of these.
	Grant string
	// Error is the code of the error (RFC 6749 §5.2), or "".
	Error string
	// Reused says that a refresh token was used twice, and its family has ended.
	Reused bool
}

// observe tells of a request that was answered with err, or nil.
func (i *Issuer) observe(q *request, err error) {
	if i.o.Observe == nil {
		return
	}
	e := Event{Endpoint: strings.TrimPrefix(q.URL.Path, "/oauth/"), Reused: errors.Is(err, errReused)}
	if e.Endpoint == "token" {
		switch grant := q.text("grant_type"); grant {
		case grantClient, grantRefresh:
			e.Grant = grant
		case grantExchange:
			e.Grant = "token_exchange"
		}
	}
	if err != nil {
		e.Error = asFailure(err).code
	}
	i.o.Observe(e)
}
