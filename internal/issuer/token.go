package issuer

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// The grants of the token endpoint.
const (
	grantClient   = "client_credentials"
	grantRefresh  = "refresh_token"
	grantExchange = "urn:ietf:params:oauth:grant-type:token-exchange"
)

// A tokenAnswer is that of the token endpoint (RFC 6749 §5.1, RFC 8693 §2.2.1).
type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	Kind         string `json:"issued_token_type,omitempty"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
	// Capability and Session are ours: what may be done on which resource, and
	// the claim "sid".
	Capability json.RawMessage `json:"capability,omitempty"`
	Session    string          `json:"session,omitempty"`
}

func answerOf(text string, t *accessToken, now time.Time) *tokenAnswer {
	a := &tokenAnswer{
		AccessToken: text, TokenType: "Bearer", Scope: t.permissions.Scope(), Session: t.session,
		ExpiresIn: int64(t.expires.Sub(now) / time.Second),
	}
	if capability := t.permissions.Capability(); capability != "" {
		a.Capability = json.RawMessage(capability)
	}
	return a
}

// token serves the token endpoint.
func (i *Issuer) token(ctx context.Context, q *request) (any, error) {
	grant := q.text("grant_type")
	if q.page && grant != grantRefresh {
		return nil, bad(codeNotAllowed, "a page can use a refresh token, and nothing else: a client's secret does not belong in it")
	}
	switch grant {
	case grantClient:
		return i.forClient(ctx, q)
	case grantRefresh:
		return i.forRefresh(ctx, q)
	case grantExchange:
		return i.exchange(ctx, q)
	case "":
		return nil, bad(codeRequest, "grant_type is missing")
	}
	return nil, bad(codeGrantType, "want client_credentials, refresh_token or token exchange")
}

// clientSubject is in front of the subjects that are clients: no user has such a
// one (RFC 9700 §4.15).
const clientSubject = "client:"

// forClient is the grant of RFC 6749 §4.4: a token for the client itself, without
// a refresh token.
func (i *Issuer) forClient(ctx context.Context, q *request) (any, error) {
	client, err := i.authenticated(ctx, q)
	if err != nil {
		return nil, err
	}
	if !client.Tokens {
		return nil, bad(codeNotAllowed, "this client may not have tokens for itself")
	}
	now := time.Now()
	t := &accessToken{client: client.ID, subject: clientSubject + client.ID, permissions: client.Permissions}
	if asked, given, err := q.permissions(); err != nil {
		return nil, err
	} else if given {
		if t.permissions, err = within(asked, client.Permissions); err != nil {
			return nil, err
		}
	}
	lifetime, err := i.lifetime(q)
	if err != nil {
		return nil, err
	}
	if t.audience, err = i.audience(q, client); err != nil {
		return nil, err
	}
	if err := t.lasting(now, lifetime, time.Time{}, i.o.Keep); err != nil {
		return nil, err
	}
	text, _, err := i.sign(t)
	if err != nil {
		return nil, err
	}
	i.o.Log.Debug("access token issued", "grant", grantClient, "client_id", client.ID)
	return answerOf(text, t, now), nil
}

// permissions reads what is asked for. Where one of the two parameters is given,
// the other is not left to a default: what is asked for is all there will be.
func (q *request) permissions() (p usher.Permissions, given bool, err error) {
	given = q.has("scope") || q.has("capability")
	if p, err = usher.NewPermissions(q.text("scope"), q.text("capability")); err != nil {
		// Why would quote it, and that may be a secret in the wrong place.
		return p, given, bad(codeScope, "scope or capability is malformed")
	}
	return p, given, nil
}

// within returns what is asked for, as far as the most that there can be allows
// it. A scope must be in it as a whole; of a capability what is left is granted,
// which must not be nothing.
func within(asked, most usher.Permissions) (usher.Permissions, error) {
	if !most.HasScope(strings.Fields(asked.Scope())...) {
		return usher.Permissions{}, bad(codeScope, "the scope has more than can be had here")
	}
	granted := asked.Intersect(most)
	if asked.Capability() != "" && granted.Capability() == "" {
		return usher.Permissions{}, bad(codeScope, "nothing of the capability can be had here")
	}
	return granted, nil
}

// lifetime reads how long the access token is to be good, in seconds.
func (i *Issuer) lifetime(q *request) (time.Duration, error) {
	if !q.has("expires_in") {
		return i.o.AccessToken, nil
	}
	n, err := strconv.ParseUint(q.text("expires_in"), 10, 31)
	d := time.Duration(n) * time.Second
	if err != nil || n == 0 || d > i.o.MaxAccessToken {
		most := strconv.FormatInt(int64(i.o.MaxAccessToken/time.Second), 10)
		return 0, bad(codeRequest, "expires_in must be a whole number of seconds, at most "+most)
	}
	return d, nil
}

// audience reads whom the token is for (RFC 8693 §2.1, RFC 8707 §2).
func (i *Issuer) audience(q *request, client *Client) ([]string, error) {
	allowed := i.audiences(client)
	asked := q.targets()
	switch {
	case len(asked) > 0:
	case slices.Contains(allowed, i.o.Audience):
		asked = []string{i.o.Audience}
	case len(allowed) == 1:
		asked = allowed
	default:
		return nil, bad(codeTarget, "name the audience: this client has several")
	}
	for _, a := range asked {
		if !slices.Contains(allowed, a) {
			return nil, bad(codeTarget, "this client may not have tokens for that audience")
		}
	}
	return asked, nil
}

// audiences are those that a client may ask for.
func (i *Issuer) audiences(client *Client) []string {
	if len(client.Audiences) > 0 {
		return client.Audiences
	}
	return []string{i.o.Audience}
}

// targets are the audiences that a request names, each once.
func (q *request) targets() []string {
	list := slices.Concat(q.form["audience"], q.form["resource"])
	slices.Sort(list)
	return slices.Compact(list)
}

// forRefresh is the grant of RFC 6749 §6, with the rotation of RFC 9700 §4.14.2.
func (i *Issuer) forRefresh(ctx context.Context, q *request) (any, error) {
	client, named, err := i.authenticate(ctx, q)
	if err != nil {
		return nil, err
	}
	if !q.has("refresh_token") {
		return nil, bad(codeRequest, "refresh_token is missing")
	}
	p, err := parseRefresh(usher.NewSecret(q.text("refresh_token")))
	if err != nil {
		return nil, badFor(codeGrant, goneGrant, err)
	}
	r := &refreshing{issuer: i, request: q, token: &p, client: client, named: named, now: time.Now().Round(0)}
	for range maxTries {
		answer, again, err := r.try(ctx)
		if !again {
			return answer, err
		}
	}
	return nil, errBusy
}

// goneGrant is what is said of all refresh tokens that are not good, so that
// nobody learns why.
const goneGrant = "the refresh token is not valid, has expired, was used, or was revoked"

var (
	errNoFamily   = errors.New("no family has this id")
	errNotOurs    = errors.New("its code is wrong")
	errEnded      = errors.New("its family was ended")
	errOver       = errors.New("it, or its family, has expired")
	errReused     = errors.New("it was used before: its family has ended now")
	errRevoked    = errors.New("revoked")
	errElse       = errors.New("it is another client's")
	errClientGone = errors.New("its client is no more")
)
