package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/usher-ws/usher"
)

// signatures is our judge of tokens as the library's set of keys. The library's
// own fetches keys for every "kid" that it does not know; ours has a cool-down.
type signatures struct{ tokens *usher.JWT }

var _ oidc.KeySet = signatures{}

// VerifySignature returns the payload of a token that is good by our rules.
func (s signatures) VerifySignature(ctx context.Context, token string) ([]byte, error) {
	if _, err := s.tokens.Claims(ctx, usher.NewSecret(token)); err != nil {
		return nil, err
	}
	return payloadOf(token)
}

func payloadOf(token string) ([]byte, error) {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return nil, errors.New("not a jwt")
	}
	return text64.DecodeString(parts[1])
}

// claimsOf reads the claims of a token that was judged before.
func claimsOf(token string) (usher.Claims, error) {
	payload, err := payloadOf(token)
	if err != nil {
		return nil, err
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	var claims usher.Claims
	if err := dec.Decode(&claims); err != nil {
		return nil, errors.New("malformed claims")
	}
	return claims, nil
}

// An idToken says who has logged in (OpenID Connect Core §2).
type idToken struct {
	Nonce  string
	raw    string
	claims usher.Claims
}

// idToken returns the ID token of an answer, judged (OpenID Connect Core
// §3.1.3.7, §3.1.3.8). Whether its nonce is right is left to who knows it.
func (l *Login) idToken(ctx context.Context, answer *oauth2.Token) (*idToken, error) {
	raw, _ := answer.Extra("id_token").(string)
	if raw == "" {
		return nil, errors.New("answer without an id token")
	}
	// First by our rules, which tell a no from what cannot be told.
	if _, err := l.tokens.Verify(ctx, usher.Credential{Kind: usher.KindToken, Secret: usher.NewSecret(raw)}); err != nil {
		return nil, fmt.Errorf("id token: %w", err)
	}
	checked, err := l.checks.Verify(l.provider.context(ctx), raw)
	if err != nil {
		return nil, errors.New("id token: not accepted")
	}
	if checked.AccessTokenHash != "" {
		if err := checked.VerifyAccessToken(answer.AccessToken); err != nil {
			return nil, errors.New("id token: of another access token")
		}
	}
	claims, err := claimsOf(raw)
	if err != nil {
		return nil, fmt.Errorf("id token: %w", err)
	}
	azp, named := claims["azp"]
	if named && azp != l.options.ClientID || !named && len(checked.Audience) > 1 {
		return nil, errors.New("id token: made for another client")
	}
	return &idToken{Nonce: checked.Nonce, raw: raw, claims: claims}, nil
}
