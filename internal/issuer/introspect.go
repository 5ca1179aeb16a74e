package issuer

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/usher-ws/usher"
)

// introspect serves the introspection endpoint (RFC 7662). It knows access tokens
// only: who asks is about to let somebody in, and a refresh token lets nobody in.
func (i *Issuer) introspect(ctx context.Context, q *request) (any, error) {
	client, err := i.authenticated(ctx, q)
	if err != nil {
		return nil, err
	}
	if !client.Introspect {
		return nil, &failure{status: http.StatusForbidden, code: codeNotAllowed, about: "this client may not introspect"}
	}
	if !q.has("token") {
		return nil, bad(codeRequest, "token is missing")
	}
	id, err := i.accessToken(ctx, usher.NewSecret(q.text("token")))
	if err != nil {
		return nil, err
	}
	if id == nil || !i.mayKnow(client, id) {
		return map[string]any{"active": false}, nil
	}
	answer := map[string]any(maps.Clone(id.Claims)) // RFC 7662 §2.2 has the names that claims have.
	answer["active"], answer["token_type"] = true, "Bearer"
	return answer, nil
}

// mayKnow reports whether a token is not revoked, and for one of the client's
// audiences.
func (i *Issuer) mayKnow(client *Client, id *usher.Identity) bool {
	return i.o.Live.Admits(id) == nil && slices.ContainsFunc(audiencesOf(id.Claims), func(a string) bool {
		return slices.Contains(i.audiences(client), a)
	})
}

// accessToken returns who an access token of ours is for, nil if it is not good.
// It is judged as whoever it is for would judge it.
func (i *Issuer) accessToken(ctx context.Context, token usher.Secret) (*usher.Identity, error) {
	audiences := audiencesOf(unverified(token))
	if len(audiences) == 0 {
		return nil, nil
	}
	v := i.tokens(audiences[0])
	v.jwt.Cache = -1 // It is asked once.
	id, err := v.Verify(ctx, usher.Credential{Kind: usher.KindToken, Secret: token})
	switch {
	case errors.Is(err, usher.ErrUnavailable):
		return nil, err
	case err != nil:
		return nil, nil //nolint:nilerr // A token that is not good is no error.
	}
	return id, nil
}

// unverified returns what stands in a token, which anybody may have made.
func unverified(token usher.Secret) usher.Claims {
	parts := strings.Split(token.Reveal(), ".")
	if len(parts) != 3 || len(token.Reveal()) > usher.MaxToken {
		return nil
	}
	payload, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return nil
	}
	var claims usher.Claims
	if json.Unmarshal(payload, &claims) != nil {
		return nil
	}
	return claims
}

// audiencesOf returns the claim "aud", a text or an array of texts.
func audiencesOf(claims usher.Claims) []string {
	list, ok := claims["aud"].([]any)
	if !ok {
		list = []any{claims["aud"]}
	}
	var all []string
	for _, one := range list {
		if text, ok := one.(string); ok && text != "" {
			all = append(all, text)
		}
	}
	return all
}
