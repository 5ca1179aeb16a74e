package issuer

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// A refreshing is the use of a refresh token.
type refreshing struct {
	issuer  *Issuer
	request *request
	token   *parsed
	client  *Client // Nil: it is a page, which proves nothing.
	named   string  // The client_id, if there is one.
	// now is from before anything was read: a token that is made in spite of
	// a revocation, since that was not seen, is older than it.
	now time.Time
}

// try goes the whole way, unless somebody else uses the token at the same time:
// then it is to be tried again.
func (r *refreshing) try(ctx context.Context) (answer *tokenAnswer, again bool, err error) {
	i := r.issuer
	f, revision, err := i.family(ctx, r.token.id)
	if err != nil {
		return nil, false, err
	}
	if f == nil {
		return nil, false, badFor(codeGrant, goneGrant, errNoFamily)
	}
	rotate, err := r.judge(ctx, f)
	if err != nil {
		return nil, false, err
	}
	t, narrowed, err := r.accessToken(ctx, f)
	if err != nil {
		return nil, false, err
	}
	text, id, err := i.sign(t)
	if err != nil {
		return nil, false, err
	}
	answer = answerOf(text, t, r.now)
	generation := f.Generation
	if rotate {
		generation++
	}
	var digest []byte
	if answer.RefreshToken, digest, err = i.refresh.text(r.token.id, generation, f.Nonce); err != nil {
		return nil, false, err
	}
	if rotate {
		// Nothing is answered before it is known that this is the current token.
		done, err := i.update(ctx, r.token.id, f.next(r.now, digest), revision)
		if err != nil || !done {
			return nil, err == nil, err
		}
	}
	if !narrowed { // A token for less is for something else.
		r.renew(ctx, id)
	}
	i.o.Log.Debug("access token issued", "grant", grantRefresh, "client_id", f.Client, "subject", f.Subject,
		"session", f.Session, "generation", generation)
	return answer, false, nil
}

// judge says whether the token is good, and whether it is replaced by its use: it
// is not where that has just happened.
func (r *refreshing) judge(ctx context.Context, f *family) (rotate bool, err error) {
	i := r.issuer
	ours, err := i.refresh.isOf(f, r.token)
	switch {
	case err != nil:
		return false, err
	case !ours: // Noise: nobody ends a family by its id.
		return false, badFor(codeGrant, goneGrant, errNotOurs)
	case !f.Ended.IsZero():
		return false, r.stolen(ctx, errEnded) // And sees that the end is whole.
	case r.named != "" && r.named != f.Client:
		return false, badFor(codeGrant, goneGrant, errElse)
	case !r.now.Before(f.until(i.o.RefreshIdle)):
		return false, badFor(codeGrant, goneGrant, errOver)
	}
	switch gone, err := i.isRevoked(ctx, f); {
	case err != nil:
		return false, err
	case gone:
		return false, badFor(codeGrant, goneGrant, errRevoked)
	case r.token.generation == f.Generation && f.isCurrent(r.token):
		return true, nil
	case r.token.generation+1 == f.Generation && r.now.Sub(f.Since) <= i.o.Grace:
		return false, nil
	}
	// It was used before, or the store has forgotten its use.
	i.o.Log.Warn("refresh token used twice: its session ends", "session", f.Session, "subject", f.Subject,
		"client_id", f.Client, "generation", r.token.generation, "current", f.Generation)
	return false, r.stolen(ctx, errReused)
}

// stolen ends the family. Its error is a refusal, or why that cannot be answered.
func (r *refreshing) stolen(ctx context.Context, cause error) error {
	if err := r.issuer.end(ctx, r.token, "a refresh token was used twice"); err != nil {
		return err
	}
	return badFor(codeGrant, goneGrant, cause)
}

// accessToken says what the new access token is. It is narrowed if the request
// asks for less than the family has.
func (r *refreshing) accessToken(ctx context.Context, f *family) (t *accessToken, narrowed bool, err error) {
	i := r.issuer
	client := r.client
	if client == nil {
		known, err := i.o.Clients.Known(ctx, f.Client)
		if errors.Is(err, ErrClient) {
			return nil, false, badFor(codeGrant, goneGrant, errClientGone)
		}
		if err != nil {
			return nil, false, err
		}
		client = &known
	}
	granted, err := usher.NewPermissions(f.Scope, f.Capability)
	if err != nil {
		return nil, false, err
	}
	if !client.Exchange {
		return nil, false, badFor(codeGrant, goneGrant, errClientGone)
	}
	t = &accessToken{client: f.Client, subject: f.Subject, session: f.Session, audience: f.Audience}
	t.permissions = granted.Intersect(client.Permissions) // Which may have become fewer.
	asked, narrowed, err := r.request.permissions()
	if err != nil {
		return nil, false, err
	}
	if narrowed {
		if t.permissions, err = within(asked, t.permissions); err != nil {
			return nil, false, err
		}
	}
	if targets := r.request.targets(); len(targets) > 0 {
		for _, a := range targets {
			if !slices.Contains(f.Audience, a) {
				return nil, false, bad(codeTarget, "the refresh token is not for that audience")
			}
		}
		narrowed = narrowed || len(targets) < len(f.Audience)
		t.audience = targets
	}
	lifetime := min(f.Lifetime, i.o.MaxAccessToken)
	if r.request.has("expires_in") {
		if lifetime, err = i.lifetime(r.request); err != nil {
			return nil, false, err
		}
		lifetime = min(lifetime, f.Lifetime)
	}
	err = t.lasting(r.now, lifetime, f.Ends, i.o.Keep)
	return t, narrowed, err
}

// renewTime bounds the renewal of live connections, which is done when the token
// is made, and is no reason to keep it back: a page that has it can renew them.
const renewTime = time.Second

func (r *refreshing) renew(ctx context.Context, id *usher.Identity) {
	ctx, cancel := context.WithTimeout(ctx, renewTime)
	defer cancel()
	n, err := r.issuer.o.Live.Renew(ctx, id)
	if err != nil {
		r.issuer.o.Log.Debug("connections not renewed", "session", id.Session, "error", err)
	} else if n > 0 {
		r.issuer.o.Log.Debug("connections renewed", "session", id.Session, "connections", n)
	}
}

// reserved reports whether a subject could be mistaken for a client.
func reserved(subject string) bool { return strings.HasPrefix(subject, clientSubject) }
