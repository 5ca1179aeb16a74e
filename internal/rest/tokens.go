package rest

import (
	"net/http"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// time answers GET /time.
func (*call) time() (*answer, error) { return ok(&ably.Times{time.Now().UnixMilli()}), nil }

// requestToken answers POST /keys/{name}/requestToken.
func (c *call) requestToken() (*answer, error) {
	var r ably.TokenRequest
	if err := c.readForm(&r); err != nil {
		return nil, err
	}
	d, err := c.server.o.Authority.RequestToken(c.r.Context(), c.path[1], &r, c.grant)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusCreated, body: d}, nil
}

// revokeTokens answers POST /keys/{name}/revokeTokens.
func (c *call) revokeTokens() (*answer, error) {
	var r ably.RevokeRequest
	if err := c.read(&r); err != nil {
		return nil, err
	}
	result, err := c.server.o.Authority.Revoke(c.r.Context(), c.path[1], &r, c.grant)
	if err != nil {
		return nil, err
	}
	return &answer{status: http.StatusCreated, body: result}, nil
}
