package usher

import (
	"context"
	"errors"
	"fmt"
)

// MaxToken is the size of the largest credential that is looked at, in bytes:
// 8 KiB. A larger one is refused before any of it is read.
const MaxToken = 8192

// A Credential is what a carrier found in a request, on its way to a verifier.
type Credential struct {
	// Carrier is the name of the carrier that brought it: "ticket",
	// "subprotocol", "first_message", "cookie", "query", "basic" or "bearer".
	Carrier string
	// Kind says what Secret is.
	Kind Kind
	// Username is the user-id of Basic (RFC 7617), otherwise empty. It is what
	// a client sent: not known to be true.
	Username string
	// Secret is the token, the ticket, the cookie's value or the password.
	Secret Secret
	// Origin is the request's Origin, or empty if it had none.
	Origin string
	// Route is the route that the request came in by: see [Guard.Route].
	Route string
	// Recheck says that the credential admitted a live connection and is asked
	// about again: see [Identity.Recheck]. A verifier with a queue should let
	// it pass those who are still at the door, or a flood of them puts out who
	// is inside.
	Recheck bool
}

// A Kind says what a credential's secret is.
type Kind string

// The kinds of secret. A verifier returns ErrUnrecognized for those that it
// does not judge.
const (
	KindToken    Kind = "token"    // A bearer token, a JWT or opaque; a cookie's value too.
	KindTicket   Kind = "ticket"   // Made by Tickets.
	KindPassword Kind = "password" // Of Basic; Username goes with it.
)

// A Verifier judges a credential. It is called from many goroutines at once,
// with a context that ends at [Limits.Verify].
//
// Its error has one of three meanings: "not mine" is ErrUnrecognized, "I
// cannot tell" is ErrUnavailable, and any other is "no" (ErrForbidden where a
// fresh credential would not help). A *Refusal is such a no, and the client is
// told what it says; with a Cause that is ErrUnavailable it means that as well.
// Errors must not contain the credential. A nil error goes with an identity
// that has a Subject.
type Verifier interface {
	Verify(ctx context.Context, c Credential) (*Identity, error)
}

// A VerifierFunc is a function as a Verifier.
type VerifierFunc func(ctx context.Context, c Credential) (*Identity, error)

// Verify calls f.
func (f VerifierFunc) Verify(ctx context.Context, c Credential) (*Identity, error) {
	return f(ctx, c)
}

// What a verifier's error means is told by these, with errors.Is.
var (
	// ErrUnrecognized: the credential is not of the verifier's making; another
	// may know it. Where none does, it is a refusal.
	ErrUnrecognized = errors.New("credential not recognized")
	// ErrUnavailable: the verifier could not decide. The client is told to
	// come back (4503) instead of to fetch another credential.
	ErrUnavailable = errors.New("out of reach")
	// ErrExpired: the credential was good and is no longer.
	ErrExpired = errors.New("credential expired")
	// ErrForbidden: the client is known and may not come in; a fresh
	// credential would not change that (4403).
	ErrForbidden = errors.New("forbidden")
)

// AnyOf asks each verifier in turn until one recognizes the credential. It
// goes on at ErrUnrecognized only; any other error is final. If none does, its
// error has what each of them said. With no verifiers it recognizes nothing.
func AnyOf(vs ...Verifier) Verifier { return anyOf(vs) }

type anyOf []Verifier

func (vs anyOf) Verify(ctx context.Context, c Credential) (*Identity, error) {
	all := ErrUnrecognized
	for i, v := range vs {
		id, err := v.Verify(ctx, c)
		if !errors.Is(err, ErrUnrecognized) {
			return id, err
		}
		if i == 0 {
			all = err
		} else {
			all = fmt.Errorf("%w; %w", all, err)
		}
	}
	return nil, all
}

// Validate asks those verifiers that can tell whether they are set up.
func (vs anyOf) Validate() error {
	var errs []error
	for _, v := range vs {
		if v == nil {
			errs = append(errs, errors.New("AnyOf: a nil verifier"))
		} else if v, ok := v.(interface{ Validate() error }); ok {
			errs = append(errs, v.Validate())
		}
	}
	return errors.Join(errs...)
}
