package issuer

import (
	"context"

	"github.com/usher-ws/usher"
)

// revoke serves the revocation endpoint (RFC 7009): of a refresh token it ends
// the family and the connections of its session, of an access token that token
// and what it has opened. Whoever has a token may revoke it: a page proves
// nothing. It is no error that there is nothing to revoke.
func (i *Issuer) revoke(ctx context.Context, q *request) (any, error) {
	client, named, err := i.authenticate(ctx, q)
	if err != nil {
		return nil, err
	}
	if !q.has("token") {
		return nil, bad(codeRequest, "token is missing")
	}
	if client != nil {
		named = client.ID
	}
	// What it is can be seen, so token_type_hint is no help.
	token := usher.NewSecret(q.text("token"))
	if isRefreshToken(token) {
		return nil, i.revokeFamily(ctx, token, named)
	}
	id, err := i.accessToken(ctx, token)
	if err != nil || id == nil {
		return nil, err
	}
	if named != "" && named != id.Claims.String("client_id") {
		return nil, bad(codeNotAllowed, "the token is another client's")
	}
	// The same each time that this token is revoked, so that it is kept once.
	r := usher.Revocation{Token: id.Token, Issuer: i.o.Name, IssuedBefore: id.Issued.Add(1), Reason: "the access token was revoked"}
	n, err := i.o.Live.Revoke(ctx, r)
	if err != nil {
		return nil, err
	}
	i.o.Log.Debug("access token revoked", "client_id", named, "subject", id.Subject, "session", id.Session, "connections", n)
	return nil, nil
}

// revokeFamily is revoke for a refresh token, which may be an old one.
func (i *Issuer) revokeFamily(ctx context.Context, token usher.Secret, named string) error {
	p, err := parseRefresh(token)
	if err != nil {
		return nil //nolint:nilerr // RFC 7009 §2.2: a token that is none is revoked already.
	}
	f, _, err := i.family(ctx, p.id)
	if err != nil || f == nil {
		return err
	}
	if ours, err := i.refresh.isOf(f, &p); err != nil || !ours {
		return err
	}
	if named != "" && named != f.Client {
		return bad(codeNotAllowed, "the token is another client's")
	}
	return i.end(ctx, &p, "the refresh token was revoked")
}
