package usher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher/internal/alarm"
)

const (
	// clockStep is the longest time that a lease trusts its timer: timers do
	// not notice that the wall clock was set or that the machine slept.
	clockStep = time.Minute
	// recheckAhead is the longest time before its deadline that a credential
	// is asked about again.
	recheckAhead = 10 * time.Second
)

// A lease is an identity's hold on one connection: it ends the connection when
// the identity ends, and asks about it again where that is possible.
type lease struct {
	identity atomic.Pointer[Identity]

	// Immutable once the handler runs.
	guard   *guardState // Nil outside of a Guard: see NewContext.
	visit   visit
	carrier string
	id      uint64
	ctx     leaseContext // Of the request that the handler gets.
	plain   bool         // No upgrade.

	// Guarded by the lock of the guard's Sessions.
	listed  bool // It has been added, and is not closed.
	indexed bool // It is also not about to end.
	links   [linkCount]link

	mu sync.Mutex
	// Guarded by mu. That of the Sessions may be taken while it is held.
	begun bool // The clock runs.
	over  bool
	alarm alarm.Alarm
	again *reasking // Nil: the credential ends.
	conn  *conn     // Nil until the handler hijacks.
	ended *Refusal  // Why it is over, if the Guard has ended it.

	parting *Parting // Nil: nothing is said.
	warned  int64    // When the revocation applies that parting was told of last, in nanoseconds since 1970.
}

// A reasking is what is known of asking about a credential again.
type reasking struct {
	ask asker
	at  time.Time // When. Zero: not as things are.
	why error     // Why the last one did not succeed.
}

// begin starts the clock.
func (l *lease) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && !l.begun {
		l.begun = true
		l.ringIn(l.plan(l.identity.Load()))
	}
}

// ringIn has the clock ring after a time. Callers hold mu.
func (l *lease) ringIn(wait time.Duration) { l.guard.clock.Set(&l.alarm, l, wait) }

// anew plans for a fresh identity, about which nobody was asked again. Callers
// hold mu.
func (l *lease) anew(fresh *Identity) {
	if r := l.again; r != nil {
		r.at, r.why = time.Time{}, nil
	}
	if l.begun {
		l.ringIn(l.plan(fresh))
	}
}

// deadline returns when the connection ends with this identity, and why.
func (l *lease) deadline(id *Identity) (time.Time, error) {
	if most := l.guard.limits.Lifetime; most > 0 {
		// Without a monotonic reading, as Expires is.
		if at := l.visit.begun.Round(0).Add(most); at.Before(id.Expires) {
			return at, errLifetime
		}
	}
	return id.Expires, ErrExpired
}

var errLifetime = fmt.Errorf("%w: the connection has lived as long as Limits.Lifetime lets it", ErrExpired)

// plan returns when to look next. Callers hold mu.
func (l *lease) plan(id *Identity) time.Duration {
	now := time.Now()
	ends, _ := l.deadline(id)
	left := ends.Sub(now)
	next := left
	if l.again != nil && id.Recheck && ends.Equal(id.Expires) { // No answer moves the end of a lifetime.
		ahead := min(left/5, recheckAhead)
		l.again.at = now.Add(left - ahead)
		next = left - ahead
	}
	return min(next, clockStep)
}

// Ring implements [alarm.Ringer].
func (l *lease) Ring() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	id, now := l.identity.Load(), time.Now()
	ends, why := l.deadline(id)
	var again reasking
	if l.again != nil {
		again = *l.again
	}
	if !now.Before(ends) {
		if again.why != nil {
			why = again.why
		}
		l.mu.Unlock()
		l.endOf(id, asRefusal(why))
		return
	}
	if again.at.IsZero() || now.Before(again.at) {
		wait := ends.Sub(now)
		if !again.at.IsZero() {
			wait = again.at.Sub(now)
		}
		l.ringIn(min(wait, clockStep))
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.recheck(id)
}

// recheck asks the verifier again. A no ends the connection; where it cannot
// tell, it is asked until the deadline, and the deadline stands.
func (l *lease) recheck(id *Identity) {
	ends, _ := l.deadline(id)
	ctx, stop := context.WithDeadline(context.Background(), ends)
	defer stop()
	l.mu.Lock()
	if l.over || l.identity.Load() != id { // It was renewed meanwhile, and the timer set for that.
		l.mu.Unlock()
		return
	}
	// The deadline stands also for a verifier that does not obey its context.
	l.again.why, l.again.at = ErrUnavailable, ends
	l.ringIn(time.Until(ends))
	ask := l.again.ask
	l.mu.Unlock()
	fresh, err := ask(ctx)
	if err == nil && (fresh.Subject != id.Subject || fresh.Issuer != id.Issuer) {
		err = fmt.Errorf("%w: the verifier now names another subject", ErrForbidden)
	}
	switch err = l.rechecked(id, fresh, err); {
	case err != nil:
		l.endOf(id, asRefusal(err))
	case l.identity.Load() == fresh:
		l.renewed()
	}
}

// rechecked goes on with the answer about id. Its error ends the connection.
func (l *lease) rechecked(id, fresh *Identity, err error) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over || l.identity.Load() != id { // It was renewed meanwhile.
		return nil
	}
	if err == nil {
		err = l.guard.require.unmet(fresh)
	}
	if err == nil {
		err = l.guard.sessions.replace(l, fresh)
	}
	switch {
	case err == nil:
		l.anew(fresh)
		return nil
	case errors.Is(err, errEnded): // Whoever ends it says why.
		return nil
	case errors.Is(err, ErrUnavailable):
		ends, _ := l.deadline(id)
		wait := time.Until(ends)
		l.again.why, l.again.at = err, time.Now().Add(wait/2)
		l.ringIn(min(max(wait/2, time.Millisecond), wait))
		return nil
	}
	return err
}

// attach gives the lease its connection. Its error means that the identity
// ended before the handler took the connection over.
func (l *lease) attach(c *conn) error {
	l.mu.Lock()
	over, ended := l.over, l.ended
	if !over {
		l.conn, c.lease = c, l
	}
	l.mu.Unlock()
	switch {
	case ended != nil:
		l.reportEnd(ended) // Which could not be before there was a connection to end.
		return ended
	case over:
		return errEnded
	}
	return nil
}

// attached reports whether the handler took the connection over.
func (l *lease) attached() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.conn != nil
}

// end ends the connection, and whatever waits on the request's context. It
// returns when the peer was seen off.
func (l *lease) end(why *Refusal) {
	l.endOf(nil, why)
}

// endOf is end for a reason that is only about id: it does nothing if the
// connection was renewed meanwhile. A nil id is whichever there is.
func (l *lease) endOf(id *Identity, why *Refusal) {
	if c := l.beginEnd(id, why); c != nil {
		c.finishEnd()
	}
}

// endLater is end for those who cannot wait, since they hold a lock of the
// connection. It is over when they return; the goodbye comes after. It reports
// whether there was a connection to end.
func (l *lease) endLater(why *Refusal) bool {
	c := l.beginEnd(nil, why)
	if c != nil {
		go c.finishEnd()
	}
	return c != nil
}

// beginEnd takes the connection from the handler, and returns it if there is
// one that is not closed yet. See endOf for id.
func (l *lease) beginEnd(id *Identity, why *Refusal) *conn {
	l.mu.Lock()
	if l.over || id != nil && l.identity.Load() != id {
		l.mu.Unlock()
		return nil
	}
	l.over, l.ended = true, why
	l.guard.clock.Stop(&l.alarm)
	c := l.conn
	l.mu.Unlock()
	l.guard.sessions.leave(l)
	if c != nil {
		l.reportEnd(why)
		if !c.beginEnd(why, l.goodbye(why)) {
			c = nil
		}
	}
	l.ctx.end(why)
	return c
}

// release ends the lease with its connection.
func (l *lease) release() {
	l.mu.Lock()
	closed := l.conn != nil && !l.over // By handler or client.
	l.over = true
	l.guard.clock.Stop(&l.alarm)
	l.mu.Unlock()
	l.guard.sessions.remove(l)
	if closed {
		l.reportEnd(nil)
	}
	l.ctx.end(context.Canceled)
}

// detaches reports whether the handler serves the connection for longer than
// its request lasts.
func (l *lease) detaches() bool { return l.guard.detach && l.visit.upgrade }

func (l *lease) report(e Event) { l.guard.report(&l.ctx, e) }

func (l *lease) reportEnd(why *Refusal) {
	e := l.visit.event(EventEnded)
	e.Carrier, e.Identity, e.Refusal = l.carrier, l.identity.Load(), why
	l.report(e)
}

// End ends the connection to which ctx belongs, the context of an admitted
// upgrade, with the Close frame that fits err: ErrForbidden is 4403,
// ErrUnavailable 4503, ErrProtocol 1002, any other 4401, or a *Refusal, as it
// stands. The frame goes between two of the handler's, whatever library that
// writes with. End returns at once, and reports whether there was a connection
// to end: not before the handler has taken it over, and not after its end.
func End(ctx context.Context, err error) bool {
	l := leaseOf(ctx)
	if l == nil || !l.attached() {
		return false
	}
	why := asRefusal(err)
	why.Carrier = l.carrier
	return l.endLater(why)
}

// refused returns err as the refusal of what the lease is for.
func (l *lease) refused(err error) *Refusal {
	why := asRefusal(err)
	why.Carrier = l.carrier
	return why
}
