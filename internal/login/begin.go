package login

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// begin sends a browser to the provider. The parameter return says where to go
// afterwards.
func (l *Login) begin(w http.ResponseWriter, r *http.Request) {
	// A login is a page that one goes to. Frames and images of other sites could
	// start logins, and fill the browser with cookies.
	if dest := r.Header.Get("Sec-Fetch-Dest"); dest != "" && dest != "document" {
		l.fail(w, r, &refusal{http.StatusForbidden, "a login is a page to go to, not a part of one", nil})
		return
	}
	query, err := single(r.URL.RawQuery)
	if err != nil {
		l.fail(w, r, &refusal{http.StatusBadRequest, err.Error(), nil})
		return
	}
	place := query.Get("return")
	if place == "" {
		place = l.options.After
	}
	if err := checkPlace(place); err != nil {
		l.fail(w, r, &refusal{http.StatusBadRequest, "the parameter return is " + err.Error(), nil})
		return
	}
	p, err := l.provider.get(r.Context())
	if err != nil {
		l.fail(w, r, err)
		return
	}
	a := newAttempt(place, time.Now())
	if err := l.keep(w, r, a); err != nil {
		l.fail(w, r, err)
		return
	}
	options := []oauth2.AuthCodeOption{oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier)}
	if slices.Contains(l.options.Scopes, oidc.ScopeOfflineAccess) {
		// Or providers leave it out (OpenID Connect Core §11).
		options = append(options, oauth2.SetAuthURLParam("prompt", "consent"))
	}
	send(w, p.oauth.AuthCodeURL(a.State, options...))
}

// single reads a query in which nothing is there twice (RFC 6749 §3.1).
func single(raw string) (url.Values, error) {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, errors.New("the query is malformed")
	}
	for _, values := range query {
		if len(values) > 1 {
			return nil, errors.New("a parameter is there more than once")
		}
	}
	return query, nil
}
