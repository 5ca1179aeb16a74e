package login

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// logoutEvent is what a logout token is about (OpenID Connect Back-Channel
	// Logout §2.4).
	logoutEvent = "http://schemas.openid.net/event/backchannel-logout"
	// maxLogout bounds the body of such a request, in bytes.
	maxLogout = 16 << 10
	// maxLogoutAge is how long a logout token is remembered at most, so that
	// nobody uses it again.
	maxLogoutAge = 24 * time.Hour
	logoutPrefix = "logout."
)

// backChannel is where the provider says that somebody has logged out there
// (OpenID Connect Back-Channel Logout §2.5). It ends their connections on all
// nodes.
func (l *Login) backChannel(w http.ResponseWriter, r *http.Request) {
	token, err := logoutToken(w, r)
	if err == nil {
		err = l.loggedOut(r.Context(), token)
	}
	if err == nil {
		w.WriteHeader(http.StatusOK)
		return
	}
	status, code, detail := http.StatusBadRequest, "invalid_request", "not a logout token for this client"
	if errors.Is(err, usher.ErrUnavailable) {
		status, code, detail = http.StatusServiceUnavailable, "temporarily_unavailable", "try again in a moment"
	}
	id := l.refused(r, status, err)
	body, err := json.Marshal(map[string]string{"error": code, "error_description": detail, "explain_id": id})
	if err != nil { // Texts.
		body = nil
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	w.Write(body)
}

// logoutToken takes the token out of a request.
func logoutToken(w http.ResponseWriter, r *http.Request) (usher.Secret, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/x-www-form-urlencoded" {
		return usher.Secret{}, errors.New("not a form")
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxLogout)
	if err := r.ParseForm(); err != nil {
		return usher.Secret{}, errors.New("malformed form")
	}
	tokens := r.PostForm["logout_token"]
	if len(tokens) != 1 || tokens[0] == "" {
		return usher.Secret{}, errors.New("no logout token, or several")
	}
	return usher.NewSecret(tokens[0]), nil
}

// loggedOut does what a logout token says, if it is good (§2.6).
func (l *Login) loggedOut(ctx context.Context, token usher.Secret) error {
	claims, err := l.logouts.Claims(ctx, token)
	if err != nil {
		return err
	}
	all, err := endedBy(claims)
	if err != nil {
		return err
	}
	if len(all) > 1 && !l.hasNameless(ctx, all[1].Subject) {
		all = all[:1]
	}
	for i := range all {
		all[i].Issuer, all[i].Reason = l.options.Issuer, "logged out at the provider"
		if err := all[i].Validate(); err != nil {
			return err
		}
	}
	key, err := l.once(ctx, claims)
	if err != nil && !errors.Is(err, usher.ErrUnavailable) {
		return err
	}
	// Where it cannot be noted it is done all the same, as far as it can be: too
	// many logouts are better than one that is missed.
	for _, ended := range all {
		n, revokeErr := l.options.Live.Revoke(ctx, ended)
		err = errors.Join(err, revokeErr)
		l.options.Log.Debug("logged out at the provider", "subject", ended.Subject, "session", ended.Session, "connections", n)
	}
	if err != nil {
		// The provider may send it again, and is refused if this fails.
		_ = l.options.Sessions.Remove(ctx, key)
	}
	return err
}

// endedBy says what a logout token is about: a session, and whose that is where
// it says so, or all of somebody's (§2.4).
func endedBy(claims usher.Claims) ([]usher.Revocation, error) {
	var none []usher.Revocation
	events, _ := claims["events"].(map[string]any)
	if _, ok := events[logoutEvent].(map[string]any); !ok {
		return none, errors.New("not about a logout")
	}
	if _, ok := claims["nonce"]; ok { // An ID token's: one must not pass for the other.
		return none, errors.New("a logout token with a nonce")
	}
	if _, ok := claims["iat"]; !ok {
		return none, errors.New("a logout token without iat")
	}
	sid, sub := claims.String("sid"), claims.String("sub")
	switch {
	case sid != "" && sub != "":
		return []usher.Revocation{{Session: sid}, {Subject: sub}}, nil
	case sid != "":
		return []usher.Revocation{{Session: sid}}, nil
	case sub != "":
		return []usher.Revocation{{Subject: sub}}, nil
	}
	return none, errors.New("a logout token about nobody")
}

// once notes that a logout token was used, and refuses one that was. It returns
// the key of the note.
func (l *Login) once(ctx context.Context, claims usher.Claims) (string, error) {
	id := claims.String("jti")
	if id == "" {
		return "", errors.New("a logout token without jti")
	}
	until := time.Now().Add(maxLogoutAge)
	if n, ok := claims["exp"].(json.Number); ok {
		if seconds, err := n.Int64(); err == nil && time.Unix(seconds, 0).Before(until) {
			until = time.Unix(seconds, 0).Add(time.Minute)
		}
	}
	sum := sha256.Sum256([]byte(id))
	key := logoutPrefix + text64.EncodeToString(sum[:])
	fresh, err := l.options.Sessions.Create(ctx, key, []byte("1"), until)
	if err != nil {
		return key, fmt.Errorf("note logout token: %w", err)
	}
	if !fresh {
		return "", errors.New("a logout token that was used before")
	}
	return key, nil
}
