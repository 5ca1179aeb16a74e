package issuer

import (
	"context"
	"crypto/rand"
	"errors"
	"time"

	"github.com/usher-ws/usher"
)

// The kinds of tokens (RFC 8693 §3).
const (
	TypeAccessToken  = "urn:ietf:params:oauth:token-type:access_token"
	TypeRefreshToken = "urn:ietf:params:oauth:token-type:refresh_token"
	TypeIDToken      = "urn:ietf:params:oauth:token-type:id_token"
	TypeJWT          = "urn:ietf:params:oauth:token-type:jwt"
	// TypeSubject is ours: the subject_token is the name of a user, as the claim
	// "sub" will have it, and nothing vouches for it but that the client, which
	// has proven who it is, may exchange. It is how an application's backend gets
	// a token for whoever has logged in there. A signature would say no more: it
	// would be made with the same key that the client proves itself with.
	TypeSubject = "urn:usher:token-type:subject"
)

// maxName bounds the names of subjects and sessions, in bytes.
const maxName = 512

// exchange is the grant of RFC 8693 §2.1: a client asks for a token for a user.
func (i *Issuer) exchange(ctx context.Context, q *request) (any, error) {
	client, err := i.authenticated(ctx, q)
	if err != nil {
		return nil, err
	}
	if !client.Exchange {
		return nil, bad(codeNotAllowed, "this client may not have tokens for users")
	}
	if q.has("actor_token") || q.has("actor_token_type") {
		return nil, bad(codeRequest, "actor_token is not supported")
	}
	refresh := false
	switch q.text("requested_token_type") {
	case "", TypeAccessToken, TypeJWT:
	case TypeRefreshToken:
		refresh = true
	default:
		return nil, bad(codeRequest, "requested_token_type: want access_token, jwt, or refresh_token to get both")
	}
	now := time.Now().Round(0)
	t := &accessToken{client: client.ID}
	ends, err := i.subject(ctx, q, t)
	if err != nil {
		return nil, err
	}
	if refresh && !ends.IsZero() {
		return nil, bad(codeRequest, "a token of another issuer gets no refresh token: exchange the next one that it makes")
	}
	asked, _, err := q.permissions()
	if err != nil {
		return nil, err
	}
	if t.permissions, err = within(asked, client.Permissions); err != nil {
		return nil, err
	}
	lifetime, err := i.lifetime(q)
	if err != nil {
		return nil, err
	}
	if t.audience, err = i.audience(q, client); err != nil {
		return nil, err
	}
	if err := t.lasting(now, lifetime, ends, i.o.Keep); err != nil {
		return nil, err
	}
	text, _, err := i.sign(t)
	if err != nil {
		return nil, err
	}
	answer := answerOf(text, t, now)
	answer.Kind = TypeAccessToken
	if refresh {
		if answer.RefreshToken, err = i.begin(ctx, t, lifetime, now); err != nil {
			return nil, err
		}
	}
	i.o.Log.Debug("access token issued", "grant", grantExchange, "client_id", client.ID, "subject", t.subject,
		"session", t.session, "refresh", refresh)
	return answer, nil
}

// begin keeps a family of refresh tokens that goes with an access token, and
// returns the first.
func (i *Issuer) begin(ctx context.Context, t *accessToken, lifetime time.Duration, now time.Time) (string, error) {
	f := &family{
		Client: t.client, Subject: t.subject, Session: t.session, Audience: t.audience, Lifetime: lifetime,
		Scope: t.permissions.Scope(), Capability: t.permissions.Capability(), Created: now, Ends: now.Add(i.o.RefreshLifetime),
	}
	id, text, err := i.refresh.begin(f)
	if err != nil {
		return "", err
	}
	return text, i.create(ctx, id, f)
}

// subject says whom the token is for, and when that ends; zero where nothing says
// so.
func (i *Issuer) subject(ctx context.Context, q *request, t *accessToken) (ends time.Time, err error) {
	text, kind := q.text("subject_token"), q.text("subject_token_type")
	if text == "" || kind == "" {
		return ends, bad(codeRequest, "subject_token or subject_token_type is missing")
	}
	if kind == TypeSubject {
		t.subject, t.session = text, rand.Text()
		if name := q.text("session"); name != "" {
			t.session = t.client + "." + name // Or it could end the session of another client's.
		}
	} else if ends, err = i.vouched(ctx, q, t, usher.NewSecret(text), kind); err != nil {
		return ends, err
	}
	switch {
	case reserved(t.subject):
		return ends, bad(codeRequest, "the subject is the name of a client")
	case len(t.subject) > maxName, len(t.session) > maxName:
		return ends, bad(codeRequest, "the name of the subject, or of its session, is too long")
	}
	return ends, nil
}

// vouched is subject by the token of another issuer.
func (i *Issuer) vouched(ctx context.Context, q *request, t *accessToken, token usher.Secret, kind string) (time.Time, error) {
	v := i.o.Subjects[kind]
	if v == nil {
		return time.Time{}, bad(codeRequest, "subject_token_type is not supported")
	}
	id, err := v.Verify(ctx, usher.Credential{Kind: usher.KindToken, Secret: token})
	if err == nil && (id == nil || id.Subject == "") {
		err = errors.New("its verifier named no subject")
	}
	if err == nil {
		err = i.o.Live.Admits(id)
	}
	switch {
	case errors.Is(err, usher.ErrUnavailable):
		return time.Time{}, err
	case err != nil: // RFC 8693 §2.2.2
		return time.Time{}, badFor(codeRequest, "the subject_token is not valid", err)
	case time.Until(id.Expires) < 2*time.Second: // Ours would be good for no whole second.
		return time.Time{}, bad(codeRequest, "the subject_token ends now, or does not say when")
	}
	t.subject, t.session, t.provider, t.since = id.Subject, id.Session, id.Issuer, id.Issued
	if session := q.text("session"); session != "" && session != id.Session {
		return time.Time{}, bad(codeRequest, "the subject_token is of another session")
	}
	return id.Expires, nil
}
