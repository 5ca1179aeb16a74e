package usher

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/usher-ws/usher/internal/within"
)

// defaultLifetime is the deadline of a connection whose credential has none.
const defaultLifetime = 24 * time.Hour

// A verdict is a yes: who came in, and by what.
type verdict struct {
	identity *Identity
	by       *candidate // Nil where there was none.
	ack      bool       // The client asks to be told, in answer to its first message.
}

// judge decides on what was found in a request, for as many requests at a time as
// Limits says. They have room of their own: silent sockets take none of it.
func (g *guardState) judge(ctx context.Context, v *visit, c *cutting) (verdict, error) {
	if err := g.judging.enter(v.client); err != nil {
		return verdict{}, err
	}
	defer g.judging.leave(v.client) // Also if the verifier panics.
	deliberate, ambient := g.extract.find(c, v)
	if len(deliberate) > 1 {
		return verdict{by: &deliberate[0]}, errTwoCredentials
	}
	if len(deliberate) == 0 {
		return g.judgeAmbient(ctx, v, c, ambient)
	}
	yes := verdict{by: &deliberate[0]}
	if len(c.secret) > 0 && len(c.offer) == 0 {
		return yes, fmt.Errorf("%w: no subprotocol beside the secret one", errMalformed)
	}
	var err error
	if yes.identity, err = g.verify(ctx, yes.by); err != nil {
		return yes, err
	}
	return yes, g.sameSubject(ctx, yes.identity, ambient)
}

// judgeAmbient decides by what browsers attached by themselves: the first that
// verifies counts, and no other may belong to somebody else.
func (g *guardState) judgeAmbient(ctx context.Context, v *visit, c *cutting, ambient []candidate) (verdict, error) {
	var no verdict
	first := ErrNoCredential
	for i := range ambient {
		a := &ambient[i]
		id, err := g.verify(ctx, a)
		if err == nil && a.carrier.csrf != nil && v.strict {
			err = checkCSRF(a.carrier.csrf, c.csrf, id)
		}
		if err == nil {
			return verdict{identity: id, by: a}, g.sameSubject(ctx, id, slices.Concat(ambient[:i], ambient[i+1:]))
		}
		if errors.Is(err, ErrUnavailable) {
			return verdict{by: a}, err
		}
		if i == 0 {
			no, first = verdict{by: a}, err
		}
	}
	return no, first
}

func checkCSRF(csrf *CSRF, tokens []string, id *Identity) error {
	if len(tokens) != 1 || !csrf.check(tokens[0], id, time.Now()) {
		return fmt.Errorf("%w: csrf token missing or wrong", ErrForbidden)
	}
	return nil
}

// sameSubject refuses if one of the ambient credentials verifies as somebody
// other than id. One that does not verify is of no account. The issuer is not
// compared: a user may have a token from one and a cookie from another, or a
// session that names none. In a recheck it is, since the verifier is the same.
func (g *guardState) sameSubject(ctx context.Context, id *Identity, ambient []candidate) error {
	for i := range ambient {
		other, err := g.verify(ctx, &ambient[i])
		switch {
		case err == nil && other.Subject != id.Subject:
			return errTwoSubjects
		case errors.Is(err, ErrUnavailable):
			return err
		}
	}
	return nil
}

// verify asks the carrier's verifier, within the time there is for it.
func (g *guardState) verify(ctx context.Context, c *candidate) (*Identity, error) {
	if c.err != nil {
		return nil, c.err
	}
	bound := within.New(ctx, g.limits.Verify)
	defer bound.End()
	id, err := c.carrier.verifier.Verify(bound, c.cred)
	return g.verified(bound, id, err)
}

// verified judges what a verifier has said. It is not a part of verify, since
// verifiers go deep and all of that stands on the stack meanwhile.
func (g *guardState) verified(ctx context.Context, id *Identity, err error) (*Identity, error) {
	if err != nil {
		if ctx.Err() != nil {
			err = errors.Join(ErrUnavailable, err)
		}
		return nil, err
	}
	if ctx.Err() != nil { // A yes that comes too late is none.
		return nil, fmt.Errorf("%w: took longer than Limits.Verify", ErrUnavailable)
	}
	return g.sessions.accept(id)
}

// verifyCaught is verify outside of the goroutines that net/http recovers: a
// verifier that panics is a fault, and does not end the process. What it
// panicked with is not said, since the credential may be in it.
func (g *guardState) verifyCaught(ctx context.Context, c *candidate) (id *Identity, err error) {
	defer func() {
		if p := recover(); p != nil {
			id, err = nil, fmt.Errorf("%w: verifier panicked (%T)", errFault, p)
		}
	}()
	return g.verify(ctx, c)
}

// accept completes a verifier's yes. One without a subject, or for a time that
// is over, is a no.
func accept(id *Identity) (*Identity, error) {
	if id == nil || id.Subject == "" {
		return nil, errors.New("verifier named no subject")
	}
	full := *id
	now := time.Now()
	if full.Expires.IsZero() {
		full.Expires = now.Add(defaultLifetime)
	}
	// Without a monotonic reading: that clock stands still while the machine
	// sleeps, and the credential ends all the same.
	full.Expires = full.Expires.Round(0)
	if !now.Before(full.Expires) {
		return nil, ErrExpired
	}
	if now.Before(full.Issued) {
		// Its issuer's clock is ahead. What is in hand was not issued later than
		// now, or a revocation would spare it.
		full.Issued = now.Round(0)
	}
	if full.Session == "" {
		full.Session = derivedSession(full.Issuer, full.Subject)
	}
	return &full, nil
}
