package issuer

import (
	"context"
	"crypto"
	"errors"
	"net/netip"
	"time"

	"github.com/usher-ws/usher"
)

// ErrClient is the error of [Clients] for who is no client. What is wrapped
// around it is for the operator.
var ErrClient = errors.New("no such client, or another secret")

// Clients are those who may ask for tokens: the holders of API keys.
type Clients interface {
	// Client returns who has this id and secret. Its error is ErrClient where
	// nobody has, and where it is disabled or has expired; any other error means
	// that it cannot be told.
	Client(ctx context.Context, id string, secret usher.Secret) (Client, error)
	// Known returns the client with this id, without a proof: who once got a
	// refresh token for a page. Its error is ErrClient where there is none any
	// more.
	Known(ctx context.Context, id string) (Client, error)
}

// A Client is an OAuth client: an API key.
type Client struct {
	// ID is its client_id.
	ID string
	// Tokens says whether it may have tokens for itself (client_credentials).
	Tokens bool
	// Exchange says whether it may have tokens for users.
	Exchange bool
	// Introspect says whether it may introspect tokens.
	Introspect bool
	// Permissions are the most that its tokens can have, at each refresh as
	// well.
	Permissions usher.Permissions
	// Audiences are those that it may ask for, and whose tokens it may
	// introspect. None: Options.Audience only.
	Audiences []string
}

// Signing has the keys that access tokens are signed with.
type Signing interface {
	// Keys are all whose public half is published: what they have signed may be
	// good still, or will be. The one to sign with is first. It asks no network,
	// and may return the same slice each time, which nobody changes. None: there
	// is nothing to sign with yet, or any more.
	Keys() []SigningKey
}

// A SigningKey is a private key.
type SigningKey struct {
	// ID is its "kid".
	ID string
	// Algorithm is "ES256" or "EdDSA".
	Algorithm string
	// Private is an *[crypto/ecdsa.PrivateKey] on P-256, or an
	// [crypto/ed25519.PrivateKey].
	Private crypto.Signer
}

// A Store keeps records that all nodes share, by keys of letters, digits, '-',
// '_' and '.'. An error means that it is not known whether the call had an
// effect; it wraps [usher.ErrUnavailable].
type Store interface {
	// Create adds a record until a time. It reports false where there is one.
	Create(ctx context.Context, key string, value []byte, until time.Time) (bool, error)
	// Get returns a record, never a stale one, with its revision; nil where there
	// is none.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Update replaces a record that has this revision still. It reports false
	// where it has not.
	Update(ctx context.Context, key string, value []byte, revision uint64, until time.Time) (bool, error)
}

// Live are the live connections: what of [usher.Sessions] is needed here.
type Live interface {
	// Renew gives the connections of the identity's session a fresh one, on the
	// routes that accept it.
	Renew(ctx context.Context, id *usher.Identity) (connections int, err error)
	// Revoke takes credentials back, on all nodes.
	Revoke(ctx context.Context, r usher.Revocation) (connections int, err error)
	// Admits reports why a credential that is good otherwise is refused: it was
	// revoked. It asks no network.
	Admits(id *usher.Identity) error
}

// Guesses slow down who guesses at the secrets of clients. A secret that is right
// is never refused because others were wrong.
type Guesses interface {
	// Wrong notes that somebody at this address came with a wrong secret for
	// this client, which need not exist, and returns how long it has to wait
	// before it is told so again; 0: not at all.
	Wrong(client string, from netip.Addr) (wait time.Duration)
}
