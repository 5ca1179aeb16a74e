package usher

import (
	"context"
	"crypto/sha256"
	"fmt"
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

// claimGroups is the claim that names the groups whose member the subject is.
const claimGroups = "groups"

// groups are those that the claims name.
func (id *Identity) groups() []string {
	switch v := id.Claims[claimGroups].(type) {
	case string:
		return []string{v}
	case []string:
		return v
	case []any:
		list := make([]string, 0, len(v))
		for _, name := range v {
			if text, ok := name.(string); ok {
				list = append(list, text)
			}
		}
		return list
	}
	return nil
}

// claimProvider is the claim that names the issuer of the credential which this
// one was made for, as by a token exchange.
const claimProvider = "idp"

// vouchedBy reports whether who it is rests on that issuer's word.
func (id *Identity) vouchedBy(issuer string) bool {
	return id.Issuer == issuer || id.Claims.String(claimProvider) == issuer
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
	var short [256]byte // Most are, and cost no allocation then.
	text := append(append(append(short[:0], issuer...), 0), subject...)
	sum := sha256.Sum256(text)
	var name [22]byte
	base64url.Encode(name[:], sum[:16])
	return string(name[:])
}
