package usher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	strictjson "github.com/go-jose/go-jose/v4/json"
)

// issuerURL parses an issuer identifier (OpenID Connect Core §1.2, RFC 8414 §2).
func issuerURL(text string) (*url.URL, error) {
	u, err := keyURL(text)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	if u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return nil, errors.New("issuer: url with a query or a fragment")
	}
	return u, nil
}

// discoverKeys asks an issuer for its configuration, and returns where that says
// its keys are. Who answers for an issuer is whoever answers at its name, so the
// document must be about that name and no other (OpenID Connect Discovery §4.3,
// RFC 8414 §3.3).
func discoverKeys(ctx context.Context, client *http.Client, at *url.URL, issuer string) (*url.URL, error) {
	body, _, err := fetchDocument(ctx, client, wellKnownOIDC(at), "application/json")
	if status, ok := errors.AsType[statusError](err); ok && status/100 == 4 {
		body, _, err = fetchDocument(ctx, client, wellKnownOAuth(at), "application/json")
	}
	if err != nil {
		return nil, err
	}
	var doc struct {
		Issuer  string `json:"issuer"`
		JWKSURI string `json:"jwks_uri"`
	}
	if err := strictjson.Unmarshal(body, &doc); err != nil {
		return nil, errors.New("configuration is malformed")
	}
	if doc.Issuer != issuer {
		return nil, errors.New("configuration is another issuer's")
	}
	u, err := keyURL(doc.JWKSURI)
	switch {
	case err != nil:
		return nil, fmt.Errorf("jwks_uri: %w", err)
	case u.Scheme != "https" && at.Scheme == "https":
		return nil, errors.New("jwks_uri: url is not https, and the issuer is")
	}
	return u, nil
}

// wellKnownOIDC is where OpenID providers have their configuration: behind the
// issuer's path (OpenID Connect Discovery §4).
func wellKnownOIDC(issuer *url.URL) *url.URL {
	return issuer.JoinPath(".well-known/openid-configuration")
}

// wellKnownOAuth is where other authorization servers have it: before that path
// (RFC 8414 §3.1).
func wellKnownOAuth(issuer *url.URL) *url.URL {
	root := *issuer
	root.Path, root.RawPath = "/.well-known/oauth-authorization-server", ""
	return root.JoinPath(strings.TrimSuffix(issuer.EscapedPath(), "/"))
}
