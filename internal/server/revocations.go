package server

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/usher-ws/usher"
)

// changeTime is how long the engine has for a change. That the caller hangs up
// does not end it: it would be done by half.
const changeTime = 5 * time.Second

func changeContext(r *http.Request) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(r.Context()), changeTime)
}

// A revoked is what a revocation has done.
type revoked struct {
	// Connections is how many it ended on this node.
	Connections int `json:"connections"`
	// IssuedBefore is the time from which on credentials are spared.
	IssuedBefore time.Time `json:"issued_before"`
}

// revoke takes credentials back.
func (a *api) revoke(w http.ResponseWriter, r *http.Request, _ call, by caller) (answer, error) {
	m, err := readMembers(w, r, "subject", "session", "token", "issuer", "reason", "issued_before")
	if err != nil {
		return answer{}, err
	}
	what, err := m.revocation()
	if err != nil {
		return answer{}, err
	}
	name, value := goesBy(what)
	ctx, cancel := changeContext(r)
	defer cancel()
	n, err := a.takeBack(ctx, &what)
	if err != nil && !errors.Is(err, usher.ErrUnavailable) {
		return answer{}, err
	}
	a.metrics.Revoked(name)
	a.log.Info("credentials revoked", "by", name, "value", value, "issuer", what.Issuer, "issued_before", what.IssuedBefore,
		"reason", what.Reason, "connections", n, "key_id", by.key.ID)
	done := revoked{n, what.IssuedBefore}
	if err != nil {
		a.log.Warn("revocation not passed on", "error", err)
		return answer{http.StatusServiceUnavailable, struct {
			problem
			revoked
		}{
			newProblem(http.StatusServiceUnavailable, "revoked on this node, and other nodes may not know of it: try again"), done,
		}}, nil
	}
	return answer{http.StatusOK, done}, nil
}

// takeBack revokes, first what can be refreshed: so there is no token that was made
// in between and that neither knows of. What cannot be kept is revoked here.
func (a *api) takeBack(ctx context.Context, what *usher.Revocation) (connections int, err error) {
	if a.issuer != nil {
		err = a.issuer.Remember(ctx, *what)
	}
	if what.IssuedBefore.IsZero() {
		what.IssuedBefore = time.Now().UTC()
	}
	n, revokeErr := a.sessions.Revoke(ctx, *what)
	return n, errors.Join(err, revokeErr)
}

// revocation reads what is to be revoked, with its time if one is asked for.
func (m members) revocation() (usher.Revocation, error) {
	r := usher.Revocation{}
	for name, to := range map[string]*string{
		"subject": &r.Subject, "session": &r.Session, "token": &r.Token, "issuer": &r.Issuer, "reason": &r.Reason,
	} {
		text, err := m.text(name)
		if err != nil {
			return r, err
		}
		if looksLikeCredential(text) {
			return r, badCall("the member %s looks like a whole token or key; want what is inside it: sub, sid, jti or iss", name)
		}
		*to = text
	}
	var err error
	if r.IssuedBefore, err = m.moment("issued_before"); err != nil {
		return r, err
	}
	if err := r.Validate(); err != nil {
		return r, badCall("%v", err)
	}
	return r, nil
}

// looksLikeCredential reports whether text is a JWT, signed or encrypted, or an API
// key, which nobody should hand around to take it back: it would be kept.
func looksLikeCredential(text string) bool {
	text = strings.TrimSpace(text)
	if scheme, rest, ok := strings.Cut(text, " "); ok && strings.EqualFold(scheme, "Bearer") {
		text = strings.TrimSpace(rest)
	}
	return strings.HasPrefix(text, "ey") && strings.Count(text, ".") >= 2 ||
		strings.HasPrefix(text, "usher_") && strings.Count(text, "_") >= 2
}

// goesBy returns what a revocation goes by.
func goesBy(r usher.Revocation) (name, value string) {
	switch {
	case r.Subject != "":
		return "subject", r.Subject
	case r.Session != "":
		return "session", r.Session
	case r.Token != "":
		return "token", r.Token
	}
	return "issuer", r.Issuer
}
