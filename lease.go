package usher

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
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
	again   func(context.Context) (*Identity, error) // Nil: the credential ends.
	cancel  context.CancelCauseFunc
	report  func(Event)

	mu sync.Mutex
	// Guarded by mu.
	timer *time.Timer
	askAt time.Time
	why   error // Why the last recheck did not succeed.
	conn  *conn // Nil until the handler hijacks.
	over  bool
	ended *Refusal // Why it is over, if the Guard has ended it.
}

// begin starts the clock.
func (l *lease) begin() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.over && l.timer == nil {
		l.timer = time.AfterFunc(l.plan(l.identity.Load()), l.tick)
	}
}

// plan returns when to look next. Callers hold mu.
func (l *lease) plan(id *Identity) time.Duration {
	now := time.Now()
	left := id.Expires.Sub(now)
	next := left
	if l.again != nil && id.Recheck {
		ahead := min(left/5, recheckAhead)
		l.askAt = now.Add(left - ahead)
		next = left - ahead
	}
	return min(next, clockStep)
}

// tick is called by the timer.
func (l *lease) tick() {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	id, now := l.identity.Load(), time.Now()
	if !now.Before(id.Expires) {
		why := l.why
		l.mu.Unlock()
		if why == nil {
			why = ErrExpired
		}
		l.end(asRefusal(why))
		return
	}
	if l.askAt.IsZero() || now.Before(l.askAt) {
		wait := id.Expires.Sub(now)
		if !l.askAt.IsZero() {
			wait = l.askAt.Sub(now)
		}
		l.timer.Reset(min(wait, clockStep))
		l.mu.Unlock()
		return
	}
	l.mu.Unlock()
	l.recheck(id)
}

// recheck asks the verifier again. A no ends the connection; where it cannot
// tell, it is asked until the deadline, and the deadline stands.
func (l *lease) recheck(id *Identity) {
	ctx, stop := context.WithDeadline(context.Background(), id.Expires)
	defer stop()
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return
	}
	// The deadline stands also for a verifier that does not obey its context.
	l.why, l.askAt = ErrUnavailable, id.Expires
	l.timer.Reset(time.Until(id.Expires))
	l.mu.Unlock()
	fresh, err := l.again(ctx)
	if err == nil && (fresh.Subject != id.Subject || fresh.Issuer != id.Issuer) {
		err = fmt.Errorf("%w: the verifier now names another subject", ErrForbidden)
	}
	if err != nil && !errors.Is(err, ErrUnavailable) {
		l.end(asRefusal(err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return
	}
	if l.why = err; err != nil {
		wait := time.Until(id.Expires)
		l.askAt = time.Now().Add(wait / 2)
		l.timer.Reset(min(max(wait/2, time.Millisecond), wait))
		return
	}
	l.askAt = time.Time{}
	l.identity.Store(fresh)
	l.timer.Reset(l.plan(fresh))
}

// attach gives the lease its connection. Its error means that the identity
// ended before the handler took the connection over.
func (l *lease) attach(c *conn) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case l.over && l.ended != nil:
		return l.ended
	case l.over:
		return errEnded
	}
	l.conn = c
	c.done = l.release
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
	if c := l.beginEnd(why); c != nil {
		c.finishEnd()
	}
}

// endLater is end for those who cannot wait, since they hold a lock of the
// connection. It is over when they return; the goodbye comes after. It reports
// whether there was a connection to end.
func (l *lease) endLater(why *Refusal) bool {
	c := l.beginEnd(why)
	if c != nil {
		go c.finishEnd()
	}
	return c != nil
}

// beginEnd takes the connection from the handler, and returns it if there is
// one that is not closed yet.
func (l *lease) beginEnd(why *Refusal) *conn {
	l.mu.Lock()
	if l.over {
		l.mu.Unlock()
		return nil
	}
	l.over, l.ended = true, why
	if l.timer != nil {
		l.timer.Stop()
	}
	c := l.conn
	l.mu.Unlock()
	if c != nil {
		l.reportEnd(why)
		if !c.beginEnd(why) {
			c = nil
		}
	}
	l.cancel(why)
	return c
}

// release ends the lease with its connection.
func (l *lease) release() {
	l.mu.Lock()
	closed := l.conn != nil && !l.over // By handler or client.
	l.over = true
	if l.timer != nil {
		l.timer.Stop()
	}
	l.mu.Unlock()
	l.guard.sessions.remove(l)
	if closed {
		l.reportEnd(nil)
	}
	l.cancel(context.Canceled)
}

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
