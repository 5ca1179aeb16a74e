//go:build linux

package main

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/test/load/tokens"
)

// A verifier says whose token it is.
type verifier interface {
	Verify(token string) (string, error)
}

var errNone = errors.New("no credential")

// checked is a handler that checks by itself, as one would be written without
// Usher: the origin, then the credential where its carrier has it.
func checked(carrier string, check verifier, seat seat) (http.Handler, error) {
	if carrier == "first_message" {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("Origin") != tokens.Origin {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			seat(w, r, func(message []byte) error { return checkMessage(message, check) })
		}), nil
	}
	find, err := finder(carrier, check)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") != tokens.Origin {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		if err := find(r); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		seat(w, r, nil)
	}), nil
}

// finder returns what judges a request by the carrier.
func finder(carrier string, check verifier) (func(*http.Request) error, error) {
	token := func(text string) error {
		if text == "" {
			return errNone
		}
		_, err := check.Verify(text)
		return err
	}
	switch carrier {
	case "subprotocol":
		return func(r *http.Request) error { return token(offeredToken(r)) }, nil
	case "query":
		return func(r *http.Request) error { return token(r.URL.Query().Get("access_token")) }, nil
	case "bearer":
		return func(r *http.Request) error {
			return token(strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		}, nil
	case "cookie":
		return func(r *http.Request) error {
			c, err := r.Cookie("session")
			if err != nil {
				return err
			}
			return token(c.Value)
		}, nil
	case "basic":
		return func(r *http.Request) error {
			name, word, ok := r.BasicAuth()
			if !ok || name != tokens.User || !usher.NewSecret(word).Equal(usher.NewSecret(tokens.Password)) {
				return errNone
			}
			return nil
		}, nil
	case "ticket":
		// Who has tickets without a Guard has them of the same kind: what is
		// compared is what stands around them.
		tickets := newTickets()
		return func(r *http.Request) error {
			_, err := tickets.Verify(r.Context(), usher.Credential{
				Kind: usher.KindTicket, Secret: usher.NewSecret(r.URL.Query().Get("ticket")),
				Origin: r.Header.Get("Origin"), Route: "/chat",
			})
			return err
		}, nil
	}
	return nil, fmt.Errorf("unknown carrier %q", carrier)
}

// offeredToken is the token among the offered subprotocols.
func offeredToken(r *http.Request) string {
	for offer := range strings.SplitSeq(r.Header.Get("Sec-Websocket-Protocol"), ",") {
		if text, ok := strings.CutPrefix(strings.TrimSpace(offer), "usher.bearer."); ok {
			if raw, err := base64.RawURLEncoding.DecodeString(text); err == nil {
				return string(raw)
			}
		}
	}
	return ""
}

// checkMessage judges a first message.
func checkMessage(message []byte, check verifier) error {
	var m struct {
		Type  string `json:"type"`
		Token string `json:"token"`
	}
	if err := json.Unmarshal(message, &m); err != nil || m.Type != "auth" {
		return errNone
	}
	_, err := check.Verify(m.Token)
	return err
}
