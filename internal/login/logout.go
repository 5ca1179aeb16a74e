package login

import (
	"context"
	"net/http"
	"net/url"

	"github.com/usher-ws/usher"
)

// maxHint bounds the ID token in a URL, in bytes.
const maxHint = 4096

// logout ends the session of a browser and its connections, and sends it to the
// provider to be logged out there, too (OpenID Connect RP-Initiated Logout §2).
func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if !l.isOwn(r) {
		l.fail(w, r, &refusal{http.StatusForbidden, "a logout comes from a page of this site", nil})
		return
	}
	cookie, s, err := l.sessionOf(r)
	if err != nil {
		l.fail(w, r, err)
		return
	}
	if s == nil {
		l.drop(w, l.options.Cookie)
		send(w, l.options.After)
		return
	}
	if err := l.close(r.Context(), cookie, s, "logged out"); err != nil {
		// The cookie stays, so that one can try again.
		l.fail(w, r, err)
		return
	}
	l.drop(w, l.options.Cookie)
	l.options.Log.Debug("logged out", "subject", s.Subject, "session", s.Session)
	send(w, l.farewell(r.Context(), s))
}

// isOwn reports whether a request comes from a page of this site, and from a
// browser that says so: every one names the origin of a POST.
func (l *Login) isOwn(r *http.Request) bool {
	if site := r.Header.Get("Sec-Fetch-Site"); site != "" && site != "same-origin" {
		return false
	}
	origins := r.Header.Values("Origin")
	return len(origins) == 1 && origins[0] == l.options.URL
}

// sessionOf returns the session of a browser, with its cookie; nil where it has
// none.
func (l *Login) sessionOf(r *http.Request) (usher.Secret, *session, error) {
	found := r.CookiesNamed(l.options.Cookie)
	if len(found) != 1 || !isCookie(found[0].Value) {
		return usher.Secret{}, nil, nil
	}
	cookie := usher.NewSecret(found[0].Value)
	s, _, err := l.load(r.Context(), cookie)
	return cookie, s, err
}

// endOld ends the session that a browser had before it logged in.
func (l *Login) endOld(r *http.Request) error {
	cookie, s, err := l.sessionOf(r)
	if s == nil || err != nil {
		return err
	}
	return l.close(r.Context(), cookie, s, "logged in again")
}

// farewell is where a browser goes after a logout: to the provider, and from
// there back here.
func (l *Login) farewell(ctx context.Context, s *session) string {
	p, err := l.provider.get(ctx)
	if err != nil || p.endSession == "" {
		return l.options.After // Here it is over, and the provider cannot be told.
	}
	u, err := url.Parse(p.endSession)
	if err != nil { // It was looked at.
		return l.options.After
	}
	query := u.Query()
	query.Set("client_id", l.options.ClientID)
	query.Set("post_logout_redirect_uri", l.options.URL+l.options.After)
	if len(s.IDToken) <= maxHint {
		query.Set("id_token_hint", s.IDToken)
	}
	u.RawQuery = query.Encode()
	return u.String()
}
