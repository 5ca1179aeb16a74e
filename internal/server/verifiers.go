package server

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
)

// named is a verifier whose errors say which of the configuration's it is, so
// that an operator can find out who said no.
type named struct {
	usher.Verifier
	name string
}

// Verify judges as the verifier does.
func (n named) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	id, err := n.Verifier.Verify(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("verifier %s: %w", n.name, err)
	}
	return id, nil
}

// Validate asks the verifier if it can tell whether it is set up.
func (n named) Validate() error {
	if v, ok := n.Verifier.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// forRoute is a verifier of an endpoint, which is asked about the route whose
// pages the endpoint serves: that is what the credential will open.
type forRoute struct {
	usher.Verifier
	route string
}

// Verify judges as the verifier does.
func (f forRoute) Verify(ctx context.Context, c usher.Credential) (*usher.Identity, error) {
	c.Route = f.route
	return f.Verifier.Verify(ctx, c)
}

// Validate asks the verifier if it can tell whether it is set up.
func (f forRoute) Validate() error {
	if v, ok := f.Verifier.(interface{ Validate() error }); ok {
		return v.Validate()
	}
	return nil
}

// anyOf returns the verifiers of these names as one. A cookie is the name of the
// cookie that they judge the value of, or "". Those that ask another server
// about any token come last: it is told none that another verifier knows.
func (b *builder) anyOf(names []string, cookie string) (usher.Verifier, error) {
	var first, last []string
	for _, name := range names {
		if v := b.config.Verifiers[name]; v != nil && v.Introspect != nil {
			last = append(last, name)
		} else {
			first = append(first, name)
		}
	}
	names = slices.Concat(first, last)
	list := make([]usher.Verifier, 0, len(names))
	for _, name := range names {
		v, err := b.verifier(name, cookie)
		if err != nil {
			return nil, fmt.Errorf("verifier %s: %w", name, err)
		}
		list = append(list, v)
	}
	if len(list) == 1 {
		return list[0], nil
	}
	return usher.AnyOf(list...), nil
}

// verifier returns one verifier of the configuration. It is made once, and one
// that asks a server once for each cookie that it sends there.
func (b *builder) verifier(name, cookie string) (usher.Verifier, error) {
	v, ok := b.config.Verifiers[name]
	if !ok || v == nil {
		return nil, fmt.Errorf("no verifier has this name")
	}
	key := name
	if v.Ask != nil {
		key += "\x00" + cookie
	}
	if made, ok := b.verifiers[key]; ok {
		return made, nil
	}
	made, err := b.makeVerifier(v, cookie)
	if err != nil {
		return nil, err
	}
	b.verifiers[key] = named{made, name}
	return b.verifiers[key], nil
}

func (b *builder) makeVerifier(v *config.Verifier, cookie string) (usher.Verifier, error) {
	switch {
	case v.JWT != nil:
		return b.jwt(v.JWT, sourceOf(v))
	case v.Introspect != nil:
		return b.introspection(v.Introspect)
	case v.Ask != nil:
		return b.ask(v.Ask, cookie)
	case v.Issuer != nil:
		return b.issuer.Tokens(v.Issuer.Audience), nil
	case v.Login:
		return b.login()
	}
	return b.htpasswd(string(v.Htpasswd))
}

func (b *builder) jwt(c *config.JWT, from keySource) (usher.Verifier, error) {
	j := &usher.JWT{Issuer: c.Issuer, Audience: c.Audience, Types: c.Types, Leeway: c.Leeway}
	if c.Leeway == 0 {
		j.Leeway = -1 // The configuration's default is filled in: this 0 was written.
	}
	var err error
	switch {
	case from != keySource{}:
		j.Keys = b.jwks(from)
	case c.KeysFile != "":
		j.Keys, err = usher.ReadKeys(string(c.KeysFile))
	default:
		var secret usher.Secret
		if secret, err = readSecret(string(c.HS256SecretFile)); err == nil {
			j.Keys, err = usher.HS256(secret)
		}
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// A keySource is where a key set comes from: an address, or the issuer that says
// which.
type keySource struct{ url, issuer string }

// sourceOf returns where a verifier fetches its keys; zero if nowhere.
func sourceOf(v *config.Verifier) keySource {
	switch {
	case v.JWT == nil:
		return keySource{}
	case v.JWT.Discover:
		return keySource{issuer: v.JWT.Issuer}
	}
	return keySource{url: string(v.JWT.JWKS)}
}

// jwks returns the key set of a source: one for all who use it, and the last
// site's if that had it, so that a reload forgets no keys.
func (b *builder) jwks(from keySource) *usher.JWKS {
	keys := b.keySets[from]
	if keys == nil {
		if keys = b.kept.keySets[from]; keys == nil {
			keys = &usher.JWKS{URL: from.url, Issuer: from.issuer, Log: b.log}
		}
		b.keySets[from] = keys
	}
	return keys
}

// introspection returns the verifier that asks whoever made a token.
func (b *builder) introspection(c *config.Introspect) (usher.Verifier, error) {
	secret, err := readSecret(string(c.ClientSecretFile))
	if err != nil {
		return nil, err
	}
	i := &usher.Introspection{
		URL: string(c.URL), Issuer: c.Issuer, Audience: c.Audience, InsecureAnyAudience: c.InsecureAnyAudience,
		ClientID: c.ClientID, ClientSecret: secret, MaxAge: c.MaxAge, Timeout: c.Timeout, MaxConcurrent: c.MaxConcurrent,
	}
	if err := i.Validate(); err != nil {
		return nil, err
	}
	b.asks = append(b.asks, i)
	return i, nil
}

// htpasswd returns the users in a file: the last site's if it had them, since
// admitted connections ask these again.
func (b *builder) htpasswd(file string) (usher.Verifier, error) {
	if users := b.kept.passwords[file]; users != nil {
		return users, nil
	}
	if users := b.passwords[file]; users != nil {
		return users, nil
	}
	users, err := usher.ReadHtpasswd(file)
	if err != nil {
		return nil, err
	}
	b.passwords[file] = users
	return users, nil
}

// readSecret reads a file with a secret. A newline at its end does not count.
func readSecret(file string) (usher.Secret, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return usher.Secret{}, fmt.Errorf("read secret: %w", err)
	}
	text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
	return usher.NewSecret(string(text)), nil
}
