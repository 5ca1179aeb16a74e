//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/tokens"
)

// many is a bound that no run comes near: what a Guard refuses by its bounds is
// not what is measured.
const many = 1 << 20

// handler makes what is served at /chat, and the sessions of a Guard.
func handler(ctx context.Context, o options) (http.Handler, *usher.Sessions, error) {
	sessions := &usher.Sessions{}
	if o.mode == "reverse" {
		target := &url.URL{Scheme: "http", Host: o.upstream}
		return &httputil.ReverseProxy{Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) }}, sessions, nil
	}
	seat, ok := seats[o.library]
	if !ok {
		return nil, nil, fmt.Errorf("unknown library %q", o.library)
	}
	if o.mode == "bare" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seat(w, r, nil) }), sessions, nil
	}
	switch o.mode {
	case "guard":
		keys, err := tokens.Load(o.algorithm, o.dir)
		if err != nil {
			return nil, nil, err
		}
		h, err := guarded(o, keys, sessions, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := usher.FromContext(r.Context()); err != nil {
				usher.Refuse(w, r, err)
				return
			}
			seat(w, r, nil)
		}))
		return h, sessions, err
	case "check", "auth":
		check, err := newCheck(ctx, o)
		if err != nil {
			return nil, nil, err
		}
		if o.mode == "auth" {
			return authServer(check), sessions, nil
		}
		h, err := checked(o.carrier, check, seat)
		return h, sessions, err
	}
	return nil, nil, fmt.Errorf("unknown mode %q", o.mode)
}

// newCheck checks tokens with the key that the load has left.
func newCheck(ctx context.Context, o options) (*tokens.Check, error) {
	keys, err := tokens.Load(o.algorithm, o.dir)
	if err != nil {
		return nil, err
	}
	list, err := keys.Keys(ctx, "")
	if err != nil {
		return nil, err
	}
	return tokens.NewCheck(o.algorithm, list)
}

// guarded puts a Guard with one carrier in front of a handler.
func guarded(o options, keys usher.KeySet, sessions *usher.Sessions, next http.Handler) (http.Handler, error) {
	login := &usher.JWT{Issuer: tokens.Issuer, Audience: tokens.Audience, Keys: keys}
	carriers := map[string]func() usher.Carrier{
		"ticket":        func() usher.Carrier { return usher.Ticket("", newTickets()) },
		"subprotocol":   func() usher.Carrier { return usher.Subprotocol(login) },
		"query":         func() usher.Carrier { return usher.Query("", login) },
		"cookie":        func() usher.Carrier { return usher.Cookie("session", login) },
		"bearer":        func() usher.Carrier { return usher.Bearer(login) },
		"first_message": func() usher.Carrier { return usher.FirstMessage(login) },
		"basic":         func() usher.Carrier { return usher.Basic(usher.VerifierFunc(verifyPassword)) },
	}
	carrier, ok := carriers[o.carrier]
	if !ok {
		return nil, fmt.Errorf("unknown carrier %q", o.carrier)
	}
	g := &usher.Guard{
		Carriers:     []usher.Carrier{carrier()},
		Origins:      []string{tokens.Origin},
		Subprotocols: []string{"chat"},
		Sessions:     sessions,
		Limits:       usher.Limits{Pending: many, PendingPerAddress: many, Verifying: many},
		Log:          slog.New(slog.DiscardHandler),
	}
	return g.Handler(next), g.Validate()
}

// newTickets has the key that the load's tickets are sealed with. Their memory
// begins now: a ticket from before is refused.
func newTickets() *usher.Tickets {
	spent := &usher.MemorySpender{}
	spent.Since()
	return &usher.Tickets{Keys: []usher.Secret{usher.NewSecret(tokens.TicketKey)}, Spent: spent}
}

// verifyPassword has no hash to compute, so that what it takes is the carrier's.
func verifyPassword(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	if c.Username != tokens.User || !c.Secret.Equal(usher.NewSecret(tokens.Password)) {
		return nil, errors.New("unknown user or wrong password")
	}
	return &usher.Identity{Subject: c.Username}, nil
}

// authServer is the minimal server that nginx's auth_request asks: 200 or 401.
func authServer(check verifier) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		subject, err := check.Verify(token)
		if err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		w.Header().Set("X-User", subject)
		w.WriteHeader(http.StatusOK)
	})
}
