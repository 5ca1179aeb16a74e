package usher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// maxIntrospection bounds the body of an answer, in bytes.
const maxIntrospection = 64 << 10

// ask asks the server about a token (RFC 7662 §2.1).
func (i *Introspection) ask(ctx context.Context, c Credential) (*introspected, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(i.Timeout, defaultIntrospectionTimeout))
	defer cancel()
	leave, err := i.enter(ctx, c.Recheck)
	if err != nil {
		return nil, fmt.Errorf("wait for a turn: %w: %w", ErrUnavailable, err)
	}
	defer leave()
	form := url.Values{"token": {c.Secret.Reveal()}, "token_type_hint": {"access_token"}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, i.URL, strings.NewReader(form.Encode()))
	if err != nil {
		return nil, fmt.Errorf("%w: malformed url", ErrUnavailable)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Accept", "application/json")
	// Both are encoded first (RFC 6749 §2.3.1), unlike other users of Basic.
	req.SetBasicAuth(url.QueryEscape(i.ClientID), url.QueryEscape(i.ClientSecret.Reveal()))
	asked := time.Now()
	resp, err := i.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w: %w", req.URL.Host, ErrUnavailable, withoutURL(err))
	}
	defer resp.Body.Close()
	payload, claims, err := readIntrospection(resp)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w: %w", req.URL.Host, ErrUnavailable, err)
	}
	id, err := i.identity(claims, asked)
	if err != nil {
		return nil, fmt.Errorf("answer of %s: %w", req.URL.Host, err)
	}
	return &introspected{payload: payload, asked: asked, until: id.Expires}, nil
}

// readIntrospection reads an answer (RFC 7662 §2.2). Its errors do not quote it.
func readIntrospection(resp *http.Response) (string, Claims, error) {
	switch resp.StatusCode {
	case http.StatusOK:
	case http.StatusUnauthorized, http.StatusForbidden:
		return "", nil, fmt.Errorf("status %d: it refuses our client id and secret", resp.StatusCode)
	default:
		return "", nil, statusError(resp.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxIntrospection+1))
	switch {
	case err != nil:
		return "", nil, fmt.Errorf("read body: %w", err)
	case len(body) > maxIntrospection:
		return "", nil, fmt.Errorf("more than %d bytes", maxIntrospection)
	case tooDeep(body):
		return "", nil, errors.New("nested too deep")
	}
	text := string(body)
	claims, err := decodeClaims(text)
	if err != nil {
		return "", nil, errors.New("answer is malformed")
	}
	if _, ok := claims["active"].(bool); !ok {
		return "", nil, errors.New("answer does not say whether the token is active")
	}
	return text, claims, nil
}

// identity judges an answer that was asked for at a time: what a revocation there
// changed after that, it does not know.
func (i *Introspection) identity(claims Claims, asked time.Time) (Identity, error) {
	if active, _ := claims["active"].(bool); !active {
		return Identity{}, errors.New("token is not active")
	}
	if iss, named := claims["iss"]; named && iss != i.Issuer {
		return Identity{}, errors.New("token of another issuer")
	}
	if !i.InsecureAnyAudience && !isAudience(claims["aud"], i.Audience) {
		return Identity{}, errors.New("for another audience")
	}
	// A server may answer about refresh tokens as well, and about tokens that
	// count only with the proof of a key, which nobody here asks for.
	kind, err := textClaim(claims, "token_type")
	if err != nil {
		return Identity{}, err
	}
	if _, bound := claims["cnf"]; bound || kind != "" && !strings.EqualFold(kind, "Bearer") {
		return Identity{}, errors.New("not a bearer token")
	}
	id, err := identityOf(claims, i.Issuer)
	if err != nil {
		return Identity{}, err
	}
	if id.Subject == "" {
		return Identity{}, errors.New("no subject")
	}
	begins, err := timeClaim(claims, "nbf")
	if err != nil {
		return Identity{}, err
	}
	now := time.Now()
	switch {
	case now.Add(defaultLeeway).Before(begins), now.Add(defaultLeeway).Before(id.Issued):
		return Identity{}, errors.New("not valid yet")
	case !id.Expires.IsZero() && !now.Before(id.Expires):
		return Identity{}, ErrExpired
	}
	if until := asked.Round(0).Add(i.maxAge()); id.Expires.IsZero() || until.Before(id.Expires) {
		id.Expires, id.Recheck = until, true
	}
	return id, nil
}
