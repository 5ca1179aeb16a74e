package config

import (
	"cmp"
	"regexp"
	"strings"

	"github.com/usher-ws/usher"
)

var verifierName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$`)

func (k *checker) verifier(p path, name string, v *Verifier) {
	if !verifierName.MatchString(name) {
		k.report(p, "want a name of letters, digits, '_', '.' and '-'")
	}
	if v == nil || !k.reports.clean(p) {
		return
	}
	switch {
	case v.JWT != nil:
		k.jwt(p.with("jwt"), v.JWT)
	case v.Introspect != nil:
		k.introspect(p.with("introspect"), v.Introspect)
	case v.Ask != nil:
		for _, header := range sorted(v.Ask.Headers) {
			if v.Ask.Headers[header] == "" {
				k.report(p.with("ask", "headers", string(header)), "empty; want the name of a claim")
			}
		}
	case v.Issuer != nil:
		k.ownTokens(p.with("issuer"), v.Issuer)
	case v.Login:
		if k.config.Login == nil {
			k.report(p.with("login"), "judges the cookie of login, and there is no login")
		}
	case v.Htpasswd == "":
		k.report(p.with("login"), "want true, or another key")
	default:
		at := p.with("htpasswd")
		if _, ok := k.readable(at, v.Htpasswd); ok {
			_, err := usher.ReadHtpasswd(string(v.Htpasswd))
			k.library(at, err)
		}
	}
}

// identityType is the "typ" of what identity.jwt sets. Who was told it, an
// upstream, must not get in as the client.
const identityType = "usher-identity+jwt"

func (k *checker) jwt(p path, j *JWT) {
	for i, typ := range j.Types {
		if plain := strings.TrimPrefix(strings.ToLower(typ), "application/"); plain == identityType {
			k.report(p.with("types", i), "is what upstreams are told who is there by; no credential of a client's")
		}
	}
	var given []string
	for _, source := range []struct {
		key string
		set bool
	}{{"discover", j.Discover}, {"jwks", j.JWKS != ""}, {"hs256_secret_file", j.HS256SecretFile != ""}, {"keys_file", j.KeysFile != ""}} {
		if source.set {
			given = append(given, source.key)
		}
	}
	if len(given) != 1 {
		k.report(p, "got %s; want one of discover, jwks, hs256_secret_file and keys_file", cmp.Or(oneOf(given, "and"), "no keys"))
		return
	}
	switch at := p.with(given[0]); {
	case j.Discover:
		k.library(p.with("issuer"), (&usher.JWKS{Issuer: j.Issuer}).Validate())
	case j.JWKS != "":
		k.library(at, (&usher.JWKS{URL: string(j.JWKS)}).Validate())
	case j.KeysFile != "":
		if _, ok := k.readable(at, j.KeysFile); ok {
			_, err := usher.ReadKeys(string(j.KeysFile))
			k.library(at, err)
		}
	default:
		if content, ok := k.readable(at, j.HS256SecretFile); ok {
			_, err := usher.HS256(usher.NewSecret(string(trimNewline(content))))
			k.library(at, err)
		}
	}
}

func (k *checker) introspect(p path, i *Introspect) {
	switch {
	case i.Audience == "" && !i.InsecureAnyAudience:
		k.report(p, "whom are the tokens for? want audience")
	case i.Audience != "" && i.InsecureAnyAudience:
		k.report(p.with("insecure_any_audience"), "not together with audience")
	}
	secret, ok := k.secretFile(p.with("client_secret_file"), i.ClientSecretFile)
	if !ok || !k.reports.clean(p) {
		return
	}
	// What is left that could be wrong is the URL.
	k.library(p.with("url"), (&usher.Introspection{
		URL: string(i.URL), Issuer: i.Issuer, Audience: i.Audience, InsecureAnyAudience: i.InsecureAnyAudience,
		ClientID: i.ClientID, ClientSecret: secret,
	}).Validate())
}

// secretFile reports a file without a secret in it.
func (k *checker) secretFile(p path, name File) (usher.Secret, bool) {
	content, ok := k.readable(p, name)
	if !ok {
		return usher.Secret{}, false
	}
	secret := usher.NewSecret(string(trimNewline(content)))
	if secret.Empty() {
		k.report(p, "the secret is empty")
	}
	return secret, !secret.Empty()
}
