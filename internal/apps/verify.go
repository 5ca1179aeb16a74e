package apps

import (
	"cmp"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// Issuer is the issuer of identities that the key called name vouches for.
func Issuer(name string) string { return "ably:" + name }

// An Authority judges keys and the tokens made with them, makes tokens, and
// takes them back.
type Authority struct {
	registry *Registry
	nonces   usher.Spender
	sessions *usher.Sessions
	revoked  allowance // What apps take back.
	asked    allowance // Token requests whose nonces are remembered.
}

// NewAuthority returns the authority for the apps of a registry. nonces remembers
// the token requests that were used; sessions are those of the Guards that let
// clients in.
func NewAuthority(r *Registry, nonces usher.Spender, sessions *usher.Sessions) *Authority {
	a := &Authority{
		registry: r, nonces: nonces, sessions: sessions,
		revoked: allowance{each: maxRevoked, total: maxAllRevoked}, asked: allowance{each: maxAsked, total: maxAllAsked},
	}
	a.nonceSince() // One that remembers since it was first used begins now.
	return a
}

// nonceSince is since when nonces are remembered; zero is forever.
func (a *Authority) nonceSince() time.Time {
	if s, ok := a.nonces.(interface{ Since() time.Time }); ok {
		return s.Since()
	}
	return time.Time{}
}

// Carriers are the ways in that the SDKs know, judged by v. Those that no browser
// attaches by itself: Authorization with Basic is none of them, see Deliberate.
func Carriers(v usher.Verifier) []usher.Carrier {
	return []usher.Carrier{
		usher.Query("access_token", v), usher.Query("accessToken", v), usher.Query("key", v), usher.Bearer(v),
	}
}

// Verify implements usher.Verifier: it takes a key, "app.key:secret", or a
// token. Its errors are an *ably.ErrorInfo beside what a Guard needs to know.
func (a *Authority) Verify(_ context.Context, c usher.Credential) (*usher.Identity, error) {
	if c.Kind != usher.KindToken {
		return nil, usher.ErrUnrecognized
	}
	text := c.Secret.Reveal()
	if c.Carrier == "bearer" {
		text = unwrapped(text)
	}
	if name, secret, ok := ably.ParseKey(text); ok {
		return a.verifyKey(name, usher.NewSecret(secret))
	}
	if strings.Contains(text, ":") { // No token has one. A token's error would have the SDKs renew what is a key.
		return nil, fmt.Errorf("%w: %w", usher.ErrUnrecognized, ably.Errorf(ably.BadCredential, "not the form of a key"))
	}
	return a.verifyToken(text, time.Now())
}

// unwrapped returns the token that the SDKs put into base64 before they send it
// in a header. One that was not is no base64: every token has a dot in it.
func unwrapped(text string) string {
	raw, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil || len(raw) == 0 {
		return text
	}
	return string(raw)
}

// verifyKey judges a key. That it is asked about again, as a password is, makes
// that a key which is taken away ends its connections.
func (a *Authority) verifyKey(name ably.KeyName, secret usher.Secret) (*usher.Identity, error) {
	key, _, err := a.registry.key(name.String())
	signed, good := usher.Secret{}, false
	if err == nil {
		signed, good = key.find(time.Now(), secret.Equal)
	}
	if !good {
		return nil, fmt.Errorf("key: %w", ably.Err(ably.BadCredential)) // One answer: which keys there are is nobody's business.
	}
	return identity(&Grant{App: name.App, Key: name.String(), ClientID: Anyone, Basic: true, Permissions: key.Permissions, of: key, signed: signed}, &usher.Identity{
		Subject: name.String(), Recheck: true,
	}), nil
}

// anonymous is the subject of those that are nobody.
const anonymous = "(anonymous)"

// identity completes what is known of a client.
func identity(g *Grant, id *usher.Identity) *usher.Identity {
	id.Issuer = Issuer(g.Key)
	id.Subject = cmp.Or(id.Subject, g.ClientID, anonymous)
	g.Holder = id.Issuer + "\x00" + id.Subject
	if g.ClientID != Anyone {
		g.Client = g.ClientID
	}
	id.Claims = usher.Claims{grantClaim: g, "app": g.App, "key": g.Key, "capability": g.Permissions.Capability()}
	if g.ClientID != "" {
		id.Claims["client_id"] = g.ClientID
	}
	return id
}

// verifyToken judges a token, and what it carries if it carries another.
func (a *Authority) verifyToken(text string, now time.Time) (*usher.Identity, error) {
	t, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	if inner := t.embedded(); inner != "" {
		return a.verifyEmbedded(t, inner, now)
	}
	return a.verifySigned(t, now)
}

// verifyEmbedded judges the token inside of another. That one is signed by
// whoever made it, with a key that nobody here knows: it can only take away.
func (a *Authority) verifyEmbedded(outer *token, text string, now time.Time) (*usher.Identity, error) {
	inner, err := parseToken(text)
	if err != nil {
		return nil, err
	}
	if inner.embedded() != "" {
		return nil, badJWT("a token in a token in a token")
	}
	id, err := a.verifySigned(inner, now)
	if err != nil {
		return nil, err
	}
	switch ends := outer.time("exp"); {
	case ends.IsZero():
	case !now.Before(ends):
		return nil, expired()
	case ends.After(id.Expires):
		return nil, badJWT("it outlives the token that it carries")
	default:
		id.Expires = ends
		if g, ok := id.Claims[grantClaim].(*Grant); ok { // Nobody else has it yet.
			g.Expires = ends
		}
	}
	return id, nil
}

// verifySigned judges a token by its key's signature, its times and what it says.
func (a *Authority) verifySigned(t *token, now time.Time) (*usher.Identity, error) {
	if t.claims == nil || t.text("alg") != "HS256" {
		return nil, errAlgorithm
	}
	key, name, err := a.registry.key(t.text("kid"))
	if err != nil {
		// Perhaps another verifier knows the key.
		return nil, fmt.Errorf("%w: %w", usher.ErrUnrecognized, ably.Errorf(ably.UnknownKey, "there is no such app or key"))
	}
	signed, good := key.find(now, t.signedBy)
	if t.header["crit"] != nil || !good {
		return nil, badJWT("wrong signature")
	}
	id := &usher.Identity{Token: t.claim("jti"), Issued: t.time("iat"), Expires: t.time("exp")}
	if err := checkTimes(t, id, key, now); err != nil {
		return nil, err
	}
	g := &Grant{
		App: name.App, Key: name.String(), ClientID: t.claim("x-ably-clientId"), Permissions: key.Permissions,
		Group: t.claim("x-ably-revocation-key"), Expires: id.Expires, of: key, signed: signed,
	}
	if _, said := t.claims["x-ably-clientId"]; said && g.ClientID == "" {
		return nil, ably.Errorf(ably.BadClientID, "the token's is empty, or no string")
	}
	if capability, said := t.claims["x-ably-capability"]; said {
		asked, err := usher.NewPermissions("", capabilityText(capability))
		if err != nil {
			return nil, ably.Errorf(ably.BadRequest, "the token's %v", err)
		}
		g.Permissions = asked.Intersect(key.Permissions)
	}
	if g.Claims, err = readClaims(t.claims); err != nil {
		return nil, err
	}
	g.lineage = lineageOf(t, g.ClientID, g.Permissions)
	if g.Group != "" {
		id.Session = revocationSession(g.Group)
	}
	id = identity(g, id)
	id.Claims["groups"] = g.lineage.groups // Also where the key does not let them be taken back: it may by and by.
	return id, nil
}

// revocationSession names the session of all tokens with one revocation key.
func revocationSession(key string) string { return "revocation:" + key }

const (
	maxTTL          = 24 * time.Hour
	maxRevocableTTL = time.Hour
	defaultTTL      = time.Hour
	// leeway is how far clocks may be apart.
	leeway = 2 * time.Minute
)

// longest is how long tokens of a key may live.
func (k *Key) longest() time.Duration {
	if k.Revocable {
		return maxRevocableTTL
	}
	return maxTTL
}

func checkTimes(t *token, id *usher.Identity, key *Key, now time.Time) error {
	begins := id.Issued
	if begins.IsZero() {
		begins = now
	}
	switch {
	case id.Expires.IsZero():
		return badJWT("it has no exp")
	case id.Issued.After(now.Add(leeway)), t.time("nbf").After(now.Add(leeway)):
		return badJWT("it is of the future")
	case id.Expires.Sub(begins) > key.longest():
		return ably.Errorf(ably.BadParameter, "a token of this key lives %v at most", key.longest())
	case !now.Before(id.Expires):
		return expired()
	}
	return nil
}

func expired() error { return fmt.Errorf("%w: %w", usher.ErrExpired, ably.Err(ably.TokenExpired)) }

func badJWT(why string) error { return fmt.Errorf("token: %w", ably.Errorf(ably.BadJWT, "%s", why)) }

// errAlgorithm is for what no key of ours has signed.
var errAlgorithm = fmt.Errorf("%w: %w", usher.ErrUnrecognized, badJWT("not signed by HS256"))

// errNoToken is what has not the shape of a token.
var errNoToken = errors.New("no token")
