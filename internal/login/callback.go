package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

// callback is where the provider sends the browser back to, with a code that is
// worth a session (OpenID Connect Core §3.1.2.5).
func (l *Login) callback(w http.ResponseWriter, r *http.Request) {
	query, err := single(r.URL.RawQuery)
	if err != nil {
		l.fail(w, r, &refusal{http.StatusBadRequest, err.Error(), nil})
		return
	}
	a, err := l.take(w, r, query.Get("state"))
	if err != nil {
		l.fail(w, r, err)
		return
	}
	cookie, err := l.enter(r, query, a)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	http.SetCookie(w, l.cookie(l.options.Cookie, cookie.Reveal(), l.options.Lifetime))
	arrive(w, a.Place)
}

// enter makes a session of the provider's answer, and returns its cookie.
func (l *Login) enter(r *http.Request, query url.Values, a *attempt) (usher.Secret, error) {
	id, answer, err := l.redeem(r.Context(), query, a)
	if err != nil {
		return usher.Secret{}, err
	}
	// The session of before, or one that was planted here, ends: what a login
	// gives has never been anybody's. It may have the name of the new one, which
	// must be younger than its end.
	if err := l.endOld(r); err != nil {
		return usher.Secret{}, err
	}
	s, err := newSession(id, answer)
	if err != nil {
		return usher.Secret{}, err
	}
	if id.claims.String("sid") == "" {
		l.nameless.Do(func() {
			l.options.Log.Warn("the provider does not name its sessions: a back-channel logout ends all that somebody has, "+
				"and none if it names the session alone; have it set backchannel_logout_session_required for this client",
				"issuer", l.options.Issuer)
		})
		if err := l.noteNameless(r.Context(), s.Subject); err != nil {
			return usher.Secret{}, err
		}
	}
	cookie, err := l.open(r.Context(), s)
	if err != nil {
		return usher.Secret{}, err
	}
	l.options.Log.Debug("logged in", "subject", s.Subject, "session", s.Session)
	return cookie, nil
}

// redeem gives the provider's answer for its tokens.
func (l *Login) redeem(ctx context.Context, query url.Values, a *attempt) (*idToken, *oauth2.Token, error) {
	p, err := l.provider.get(ctx)
	if err != nil {
		return nil, nil, err
	}
	// An answer of another provider, to one that we asked (RFC 9207 §2.4).
	if iss := query.Get("iss"); iss != l.options.Issuer && (iss != "" || p.namesItself) {
		return nil, nil, &refusal{http.StatusBadRequest, "the answer is not of the provider that was asked", nil}
	}
	if code := query.Get("error"); code != "" {
		return nil, nil, denied(code)
	}
	code := query.Get("code")
	if code == "" {
		return nil, nil, &refusal{http.StatusBadRequest, "the answer has no code", nil}
	}
	leave, err := l.provider.doors.take()
	if err != nil {
		return nil, nil, err
	}
	token, err := p.oauth.Exchange(l.provider.context(ctx), code, oauth2.VerifierOption(a.Verifier))
	leave()
	if err != nil {
		return nil, nil, l.exchangeError(err)
	}
	id, err := l.idToken(ctx, token)
	if err != nil {
		return nil, nil, err
	}
	if id.Nonce == "" || !same(id.Nonce, a.Nonce) {
		return nil, nil, errors.New("id token is not for this login: another nonce")
	}
	return id, token, nil
}

// denied says what the provider's error means for who wanted to log in (RFC 6749
// §4.1.2.1). The code is looked up, never shown.
func denied(code string) error {
	r := &refusal{http.StatusForbidden, "the provider did not log you in", fmt.Errorf("the provider's answer is %.40q", code)}
	switch code {
	case "access_denied":
		r.detail = "access was denied at the provider"
	case "server_error", "temporarily_unavailable":
		r.status, r.detail = http.StatusServiceUnavailable, "the provider cannot log anybody in now; try again in a moment"
	}
	return r
}

// exchangeError says what it means that a token endpoint gave no token.
func (l *Login) exchangeError(err error) error {
	e, ok := errors.AsType[*oauth2.RetrieveError](err)
	switch {
	case ok && e.ErrorCode == "invalid_grant":
		return fmt.Errorf("%w: %w", errGrant, bare(err))
	case ok && e.Response.StatusCode/100 == 4 && e.Response.StatusCode != http.StatusTooManyRequests:
		l.options.Log.Warn("the login's provider refuses what it is asked", "issuer", l.options.Issuer, "error", bare(err))
	}
	return fmt.Errorf("%w: ask for tokens: %w", usher.ErrUnavailable, bare(err))
}

// errGrant: the provider takes a code or a refresh token no more. The word is
// OAuth's (RFC 6749 §5.2).
var errGrant = &refusal{status: http.StatusForbidden, detail: "the provider takes this login back, or does not know it"}
