package usher

import (
	"context"
	"fmt"
	"time"
)

// A Parting is what a handler says in the words of its own protocol when its
// Guard has something to say to the client.
type Parting struct {
	// Goodbye returns what is written before the Close frame when the Guard ends
	// the connection: whole frames, or nothing. The handler's goroutines may be
	// anywhere meanwhile: it must not wait for them. Where the handler is in the
	// middle of a message there is no goodbye. Default: nothing.
	Goodbye func(why *Refusal) []byte
	// Warning is told that the connection's credential will be revoked, and when:
	// see [Revocation.Applies]. It is told once, and must not block. Default:
	// nobody is told.
	Warning func(at time.Time)
	// Renewed is told that the connection has a fresh identity, which FromContext
	// returns from then on: by a renewal, or because the credential was asked about
	// again, and not by Adopt. It must not block. Default: nobody is told.
	Renewed func()
}

// OnParting sets what is said on the connection to which ctx belongs, the
// context of an admitted upgrade. It reports whether there is one that goes on.
func OnParting(ctx context.Context, p Parting) bool {
	l := leaseOf(ctx)
	if l == nil || l.guard == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.parting = &p
	return !l.over
}

// goodbye returns what the handler says at the end.
func (l *lease) goodbye(why *Refusal) []byte {
	l.mu.Lock()
	p := l.parting
	l.mu.Unlock()
	if p == nil || p.Goodbye == nil {
		return nil
	}
	return p.Goodbye(why)
}

// warn tells the handler of a revocation that is to come, once: the bus may bring
// it again.
func (l *lease) warn(at time.Time) {
	l.mu.Lock()
	p, told := l.parting, l.warned == at.UnixNano()
	l.warned = at.UnixNano()
	l.mu.Unlock()
	if p != nil && p.Warning != nil && !told {
		p.Warning(at)
	}
}

// renewed tells the handler of a fresh identity.
func (l *lease) renewed() {
	l.mu.Lock()
	p := l.parting
	l.mu.Unlock()
	if p != nil && p.Renewed != nil {
		p.Renewed()
	}
}

// Adopt gives the connection to which ctx belongs, the context of an admitted
// upgrade, another identity, which its handler has had judged: for protocols in
// which clients renew their credential by a message of its own. Unlike
// [Sessions.Renew] it is for this connection alone, and its subject may be
// another: whether that may be is the handler's to say. The connection now ends
// when id does. The error is ErrExpired or ErrRevoked if id is, ErrForbidden if it
// does not meet [Guard.Require], and any other if there is no such connection any
// more; then nothing has changed.
func Adopt(ctx context.Context, id *Identity) error {
	l := leaseOf(ctx)
	if l == nil || l.guard == nil {
		return errNoIdentity
	}
	full, err := l.guard.sessions.accept(id)
	if err == nil {
		err = l.guard.require.unmet(full)
	}
	if err == nil {
		err = l.adopt(full)
	}
	if err != nil {
		return fmt.Errorf("adopt: %w", err)
	}
	e := l.visit.event(EventRenewed)
	e.Carrier, e.Identity = l.carrier, full
	l.report(e)
	return nil
}

// Refused reports a refusal of what the client has sent on the connection to which
// ctx belongs, the context of an admitted upgrade: to the log and to [Guard.Observe],
// as one at the door is. It ends nothing, and says nothing: that is the handler's
// to do, in the words of its own protocol, with the explain id of the Refusal that
// it returns. The error means what a verifier's does; a *Refusal is taken as it
// stands, but for what it leaves to its defaults. Without such a connection nobody
// is told.
func Refused(ctx context.Context, err error) *Refusal {
	why := asRefusal(err)
	if l := leaseOf(ctx); l != nil && l.guard != nil {
		e := l.visit.event(EventRefused)
		e.Took, e.Carrier, e.Refusal = 0, why.Carrier, why
		l.guard.report(ctx, e)
	}
	return why
}

func (l *lease) adopt(fresh *Identity) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return errEnded
	}
	if err := l.guard.sessions.replace(l, fresh); err != nil {
		return err
	}
	l.again = nil
	l.anew(fresh)
	return nil
}
