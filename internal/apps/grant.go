package apps

import (
	"errors"
	"fmt"
	"time"
	"unicode/utf8"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
)

// Anyone is the client id of a credential that may be used by anybody: who it
// is, the client says itself.
const Anyone = "*"

// A Grant is what a credential allows. It is not changed.
type Grant struct {
	// App is the app that it is for.
	App string
	// Key is the name of the key behind it, or empty where another verifier
	// vouches for the client.
	Key string
	// ClientID is whose it is: Anyone's, or nobody's if empty.
	ClientID string
	// Basic says that it is the key itself, and not a token.
	Basic bool
	// Permissions are what it allows.
	Permissions usher.Permissions
	// Group is the revocation key of a token, or empty.
	Group string
	// Expires is when a token ends. Zero: it is no token of ours.
	Expires time.Time
	// Claims are what the token says of single channels.
	Claims *Claims
	// lineage is what else a token can be taken back by.
	lineage lineage
	// of is the key as it was when the credential was judged.
	of *Key
	// signed is the secret of the key that it was, or has signed the token.
	signed usher.Secret
	// Client is whom the credential itself names, whoever it says it is beside that.
	// Empty: nobody in particular.
	Client string
	// Holder tells who holds the credential, whoever it says it is: it is the same
	// for all tokens of a key for one client id.
	Holder string
}

// grantClaim is where an identity of ours has its Grant. No credential of others
// can have one, since what is in those are values of JSON.
const grantClaim = "grant"

// Grant returns what the credential of an admitted client allows, no more than its
// key does by now. The identity may come from another verifier than ours: then it
// is its subject's, by its claim "capability", for the one app that there is.
func (r *Registry) Grant(id *usher.Identity) (*Grant, error) {
	if g, ok := id.Claims[grantClaim].(*Grant); ok {
		return r.current(g)
	}
	if id.Subject == Anyone { // It is a name there, and would allow all names here.
		return nil, fmt.Errorf("the subject of a credential: %w", ably.Errorf(ably.BadClientID, "nobody is called *"))
	}
	app := r.Only()
	if app == "" {
		return nil, fmt.Errorf("a credential that names no app, and several apps: %w", ably.Err(ably.BadCredential))
	}
	p, err := id.Permissions()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", err, ably.Err(ably.TokenError))
	}
	claims, err := readClaims(id.Claims)
	if err != nil {
		return nil, err
	}
	return &Grant{App: app, ClientID: id.Subject, Permissions: p, Claims: claims, Client: id.Subject, Holder: id.Issuer + "\x00" + id.Subject}, nil
}

// current is a grant as its key is now.
func (r *Registry) current(g *Grant) (*Grant, error) {
	key, _, err := r.key(g.Key)
	switch {
	case err != nil:
		return nil, fmt.Errorf("key of a credential: %w: %w", err, ably.Err(ably.TokenRevoked))
	case key == g.of && key.OldUntil.IsZero():
		return g, nil
	}
	if _, good := key.find(time.Now(), g.signed.Equal); !good {
		return nil, fmt.Errorf("secret of a credential: %w: %w", usher.ErrRevoked, ably.Err(ably.TokenRevoked))
	}
	if key == g.of {
		return g, nil
	}
	now := *g
	now.Permissions, now.of = g.Permissions.Intersect(key.Permissions), key
	if g.Basic { // It is the key, which may also allow more by now.
		now.Permissions = key.Permissions
	}
	return &now, nil
}

// May returns why an operation is not allowed on a channel, or nil.
func (g *Grant) May(operation, channel string) *ably.ErrorInfo {
	if g.Permissions.May(operation, channel) {
		return nil
	}
	return ably.Errorf(ably.NotPermitted, "%s", operation)
}

// MayAnywhere is May for what is about the app and no channel.
func (g *Grant) MayAnywhere(operation string) *ably.ErrorInfo {
	if g.Permissions.May(operation, "*") {
		return nil
	}
	return ably.Errorf(ably.NotPermitted, "%s", operation)
}

// As returns the grant for a client that says who it is, beside its credential:
// where said is false it says nothing.
func (g *Grant) As(clientID string, said bool) (*Grant, *ably.ErrorInfo) {
	switch {
	case !said, clientID == g.ClientID && clientID != "":
		return g, nil
	case clientID == "", !utf8.ValidString(clientID):
		return nil, ably.Errorf(ably.BadClientID, "empty, or no UTF-8")
	case g.ClientID != Anyone:
		return nil, ably.Errorf(ably.IncompatibleCredential, "the client id is not that of the token")
	}
	named := *g
	named.ClientID = clientID
	return &named, nil
}

// Sender returns who a message is from that says it is from claimed, which may
// be empty.
func (g *Grant) Sender(claimed string) (string, *ably.ErrorInfo) {
	switch {
	case claimed == Anyone:
		return "", ably.Errorf(ably.BadClientID, "nobody is called *")
	case g.ClientID == Anyone:
		return claimed, nil
	case claimed == "" || claimed == g.ClientID:
		return g.ClientID, nil
	}
	return "", ably.Errorf(ably.BadClientID, "the message is from another client than the credential's")
}

// Explain returns the words of the Ably wire for an error of a Guard, of its
// verifiers, or of this package. With a Guard's they have its explain id.
func Explain(err error) *ably.ErrorInfo {
	info := inWords(err)
	if why, ok := errors.AsType[*usher.Refusal](err); ok {
		info = info.Explained(why.ID)
	}
	return info
}

// Worded returns an error that is err, and is in the words of the Ably wire, too.
func Worded(err error) error {
	if _, ok := errors.AsType[*ably.ErrorInfo](err); ok {
		return err
	}
	return fmt.Errorf("%w: %w", err, inWords(err))
}

func inWords(err error) *ably.ErrorInfo {
	if info, ok := errors.AsType[*ably.ErrorInfo](err); ok {
		return info
	}
	switch {
	case errors.Is(err, usher.ErrExpired):
		return ably.Err(ably.TokenExpired)
	case errors.Is(err, usher.ErrRevoked):
		return ably.Err(ably.TokenRevoked)
	case errors.Is(err, usher.ErrNoCredential):
		return ably.Errorf(ably.BadCredential, "none were sent")
	case errors.Is(err, usher.ErrUnavailable):
		return ably.Err(ably.Unavailable)
	case errors.Is(err, usher.ErrForbidden):
		return ably.Err(ably.Forbidden)
	}
	if why, ok := errors.AsType[*usher.Refusal](err); ok {
		switch why.Word {
		case "too_many":
			return ably.Err(ably.TooManyRequests)
		case "draining":
			return ably.Errorf(ably.Disconnected, "the server is about to stop")
		case "fault":
			return ably.Err(ably.Internal)
		}
	}
	return ably.Err(ably.BadCredential)
}
