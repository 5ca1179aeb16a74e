package server

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/login"
)

// records are those of the engine, which is opened after the first site is built,
// and before anybody is served.
type records struct{ *engine.Records }

// login returns the login of the configuration: the last site's if it was the
// same, since connections that it admitted ask it again.
func (b *builder) login() (*login.Login, error) {
	c := b.config.Login
	if c == nil {
		return nil, errors.New("there is no login")
	}
	secret := usher.Secret{}
	if c.ClientSecretFile != "" {
		var err error
		if secret, err = readSecret(string(c.ClientSecretFile)); err != nil {
			return nil, fmt.Errorf("login: %w", err)
		}
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("login: %w", err)
	}
	sum := sha256.Sum256([]byte(string(text) + secret.Reveal()))
	made := hex.EncodeToString(sum[:])
	if l := b.logins[made]; l != nil {
		return l, nil
	}
	l := b.kept.logins[made]
	if l == nil {
		l, err = login.New(login.Options{
			Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: secret, Scopes: c.Scopes, URL: c.URL,
			After: c.After, Cookie: c.Cookie, Idle: c.Idle, Lifetime: c.Lifetime, Log: b.log,
			Sessions: &b.records, Live: b.sessions, Secret: func() usher.Secret { return b.engine.Secrets().Login() },
		})
		if err != nil {
			return nil, err
		}
	}
	b.logins[made] = l
	return l, nil
}

// loginRefused puts what the login refuses where explain finds it. The path is its
// route: it has no other.
func (b *builder) loginRefused(a *api) func(*http.Request, *usher.Refusal) {
	return func(r *http.Request, why *usher.Refusal) {
		e := usher.Event{Kind: usher.EventRefused, Time: time.Now(), Route: r.URL.Path, Refusal: why}
		if from := a.address(r); from.IsValid() {
			e.Client = networkOf(from)
		}
		b.explanations.Observe(e)
	}
}
