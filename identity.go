package usher

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"time"
)

// An Identity is what a verdict says about a client: who it is, what is
// claimed about it, and until when. It is shared by all who ask for it and
// must not be changed.
type Identity struct {
	// Subject says who it is (the claim "sub"). Never empty.
	Subject string
	// Issuer says who vouches for it (the claim "iss"); empty where the
	// verifier has no such notion.
	Issuer string
	// Session names the login that the credential belongs to (the claim
	// "sid"). The Guard derives one from issuer and subject where the verifier
	// leaves it empty.
	Session string
	// Token is the credential's own identifier (the claim "jti"), or empty.
	Token string
	// Issued is when the credential was made; zero if it does not say.
	Issued time.Time
	// Expires is when the connection ends. Zero means that the credential does
	// not say; the Guard then sets a deadline of 24 hours.
	Expires time.Time
	// Recheck says that Expires is a deadline and not the credential's end: at
	// that time the verifier is asked again with the same credential, and the
	// connection goes on if the answer has the same issuer and subject. A
	// verifier sets it when it can judge a credential a second time: of a
	// password, not of a token that ends.
	Recheck bool
	// Claims are all that the verifier knows, Subject and the others included
	// where they came as claims.
	Claims Claims
}

// Claims are the members of a token's payload or of a verifier's answer, by
// their names there. Numbers are [encoding/json.Number], so that none loses
// precision.
type Claims map[string]any

// String returns the claim called name if it is a string, else "".
func (c Claims) String(name string) string {
	s, _ := c[name].(string)
	return s
}

// errNoIdentity is a fault of whoever put the server together: no credential
// would change it.
var errNoIdentity = fmt.Errorf("%w: request did not come through a guard", errFault)

type identityKey struct{}

// leaseOf returns the lease of an admitted request, or nil.
func leaseOf(ctx context.Context) *lease {
	l, _ := ctx.Value(identityKey{}).(*lease)
	return l
}

// FromContext returns the identity of the admitted client. Its error means that
// the handler is reached without a Guard in front: let nobody in, and answer
// 500, as [Refuse] does with it. After a [Identity.Recheck] FromContext returns
// the newest answer.
func FromContext(ctx context.Context) (*Identity, error) {
	if l := leaseOf(ctx); l != nil {
		if id := l.identity.Load(); id != nil {
			return id, nil
		}
	}
	return nil, errNoIdentity
}

// NewContext returns a context from which FromContext returns id: for tests of
// a handler without a Guard in front of it.
func NewContext(ctx context.Context, id *Identity) context.Context {
	l := &lease{}
	l.identity.Store(id)
	return context.WithValue(ctx, identityKey{}, l)
}

// derivedSession names the session of a credential that names none: the same
// for all credentials of one subject of one issuer.
func derivedSession(issuer, subject string) string {
	h := sha256.New()
	h.Write([]byte(issuer))
	h.Write([]byte{0})
	h.Write([]byte(subject))
	return base64url.EncodeToString(h.Sum(nil)[:16])
}

// clone returns a copy with claims of its own: what a caller changes in them is
// seen by nobody else.
func (id *Identity) clone() *Identity {
	c := *id
	c.Claims = maps.Clone(id.Claims)
	for name, v := range c.Claims {
		c.Claims[name] = cloneValue(v)
	}
	return &c
}

// cloneValue copies a value of the types that come from JSON.
func cloneValue(v any) any {
	switch v := v.(type) {
	case []any:
		list := slices.Clone(v)
		for i := range list {
			list[i] = cloneValue(list[i])
		}
		return list
	case map[string]any:
		object := maps.Clone(v)
		for name := range object {
			object[name] = cloneValue(object[name])
		}
		return object
	}
	return v
}
