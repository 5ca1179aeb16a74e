package usher

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultTicketTTL = 30 * time.Second
	minTicketTTL     = time.Second
	maxTicketTTL     = 10 * time.Minute

	// spentMargin is how much longer than a ticket its spent id is remembered:
	// as far as the clocks of the nodes may be apart.
	spentMargin = 60 * time.Second
)

// Tickets makes and redeems single-use tickets: credentials that live for
// seconds, admit once, and are good at one origin and for one route only. A
// ticket is sealed, not stored: the identity is inside it, encrypted, and only
// the fact that it was used is written down.
//
// The zero value is ready for one process. It must not be copied after first
// use. Where several processes make and redeem each other's tickets they need
// the same Keys and a Spent that they share; the same Keys with a Spent for
// each would let a ticket in once at each. Their clocks may be apart by 60 s.
//
// With Keys of your own and a Spent in memory, a restart is such a second
// process. Tickets from before it are refused by their time; a clock that was
// set back across the restart can let a used one in once more.
type Tickets struct {
	// Keys are 32 random bytes each, such as NewSecret(string(key)). The first
	// seals new tickets, all open them. Default: one random key, so that
	// tickets end with the process.
	Keys []Secret
	// Spent remembers the tickets that were used. Default: a MemorySpender,
	// which serves one process, and after whose restart tickets made earlier
	// are refused.
	Spent Spender
	// TTL is how long a ticket waits to be used: from 1 s to 10 min; what is
	// outside is an error of Validate and Make. Default: 30 s.
	TTL time.Duration

	memory MemorySpender
	ring   atomic.Pointer[keyring]
	mu     sync.Mutex // Held while ring is replaced.
}

// Validate reports what is wrong with the fields: a key that has not 32 bytes,
// or a TTL out of bounds. Make and Verify refuse as long as it is an error.
func (t *Tickets) Validate() error {
	if _, err := t.lifetime(); err != nil {
		return err
	}
	_, err := t.keys()
	return err
}

// Rotate replaces the keys of running Tickets, whatever Keys says: the first
// seals new tickets, all open them. Leave the previous key second for as long
// as its last ticket lives, TTL; the tickets of a key that is gone are refused.
// On an error the keys stay as they were.
func (t *Tickets) Rotate(keys ...Secret) error {
	ring, err := newKeyring(keys)
	if err != nil {
		return fmt.Errorf("rotate ticket keys: %w", err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ring.Store(ring)
	return nil
}

// Make returns a ticket for id, and when it expires: after TTL, and never
// later than id does. It can be redeemed by a client whose requests have this
// Origin and come in by this route: see [Guard.Route]. An empty origin is that
// of clients that are not browsers. The ticket has at most [MaxToken]
// characters, all of them legal in a query and in a subprotocol.
//
// The connection that the ticket opens lives until id.Expires; an identity
// that asks to be rechecked ends there too, since there is no credential left
// to check. Claims arrive as JSON carries them, numbers as
// [encoding/json.Number].
//
// It is an error if id has no subject, is expired (ErrExpired), or is too
// large for a ticket, and if origin is not a serialized origin (RFC 6454 §6.2)
// or route is empty.
func (t *Tickets) Make(id *Identity, origin, route string) (Secret, time.Time, error) {
	text, expires, err := t.make(id, origin, route)
	if err != nil {
		return Secret{}, time.Time{}, fmt.Errorf("make ticket: %w", err)
	}
	return NewSecret(text), expires, nil
}

func (t *Tickets) make(id *Identity, origin, route string) (string, time.Time, error) {
	ttl, err := t.lifetime()
	if err != nil {
		return "", time.Time{}, err
	}
	ring, err := t.keys()
	if err != nil {
		return "", time.Time{}, err
	}
	if id == nil || id.Subject == "" {
		return "", time.Time{}, errors.New("no subject")
	}
	if origin != "" {
		if err := validateOrigin(origin); err != nil {
			return "", time.Time{}, err
		}
	}
	if route == "" {
		return "", time.Time{}, errors.New("no route")
	}
	// Before the time is read: a memory that begins to remember now must not
	// begin after the ticket was made.
	remembersSince(t.spender())
	now := time.Now()
	expires := now.Add(ttl)
	if !id.Expires.IsZero() && id.Expires.Before(expires) {
		expires = id.Expires
	}
	if !now.Before(expires) {
		return "", time.Time{}, ErrExpired
	}
	b := ticketBody{origin: origin, route: route, issued: now, expires: expires, identity: *id}
	if id.Recheck && id.Issued.IsZero() {
		b.identity.Issued = now // Its verifier has vouched for it now, and is not asked again.
	}
	rand.Read(b.id[:]) // Never fails: it ends the process instead.
	plain, err := b.encode()
	if err != nil {
		return "", time.Time{}, err
	}
	if n := sealedLen(len(plain) - ticketHead); n > MaxToken {
		return "", time.Time{}, fmt.Errorf("%w: %d characters, at most %d", errTicketSize, n, MaxToken)
	}
	return ring.seal(plain), time.UnixMicro(expires.UnixMicro()), nil
}

// errTicketSize: the identity has too many or too long claims for a ticket.
var errTicketSize = errors.New("identity too large for a ticket")

// Verify redeems a ticket. It is a [Verifier] for KindTicket. What no key of
// its own has sealed is ErrUnrecognized. A ticket that is expired, or brought
// from another origin or by another route than it was made for, is refused
// and stays unspent: whoever stole one and tries it elsewhere must not be able
// to use it up before its owner does. Spending comes last, so that no request
// is admitted whose ticket is not known to be spent by it. The error of a
// used ticket is ErrSpent; where the Spender cannot tell, ErrUnavailable.
//
// Each check costs less than the next, and only the last asks anybody else.
func (t *Tickets) Verify(ctx context.Context, c Credential) (*Identity, error) {
	if c.Kind != KindTicket {
		return nil, ErrUnrecognized
	}
	ring, err := t.keys()
	if err != nil {
		return nil, fmt.Errorf("redeem ticket: %w: %w", ErrUnavailable, err)
	}
	plain, err := ring.open(c.Secret.Reveal())
	if err != nil {
		return nil, fmt.Errorf("redeem ticket: %w", err)
	}
	b, err := decodeTicket(plain)
	if err != nil {
		return nil, fmt.Errorf("redeem ticket: %w", err)
	}
	spent := t.spender()
	if err := b.admits(c, time.Now(), remembersSince(spent)); err != nil {
		return nil, fmt.Errorf("redeem ticket: %w", err)
	}
	// The id is 16 random bytes of the ticket's own: it collides with no id
	// that another user of the Spender makes by hashing what is spent there.
	err = spent.Spend(ctx, b.id, b.expires.Add(spentMargin))
	switch {
	case err == nil:
		// The memory may have been lost, and begun anew, just before.
		if b.issued.Before(remembersSince(spent)) {
			return nil, fmt.Errorf("redeem ticket: %w", errBeforeMemory)
		}
		return &b.identity, nil
	case errors.Is(err, ErrSpent):
		return nil, fmt.Errorf("redeem ticket: %w", ErrSpent)
	default: // It may be spent or not. Fail closed.
		return nil, fmt.Errorf("redeem ticket: spend its id: %w: %w", ErrUnavailable, err)
	}
}

// admits decides what can be decided from the ticket alone. The origin, the
// route and the times are no secrets and are compared as they are.
func (b *ticketBody) admits(c Credential, now, since time.Time) error {
	switch {
	case !now.Before(b.expires):
		return ErrExpired
	case b.origin != c.Origin:
		return errors.New("made for another origin")
	case b.route != c.Route:
		return errors.New("made for another route")
	case b.issued.Before(since):
		// It may have been used before the memory of used tickets begins, as
		// after a restart. What cannot be proven unspent is refused.
		return errBeforeMemory
	}
	return nil
}

var errBeforeMemory = errors.New("made before the memory of used tickets begins")

func (t *Tickets) spender() Spender {
	if t.Spent != nil {
		return t.Spent
	}
	return &t.memory
}

func (t *Tickets) lifetime() (time.Duration, error) {
	switch {
	case t.TTL == 0:
		return defaultTicketTTL, nil
	case t.TTL < minTicketTTL || t.TTL > maxTicketTTL:
		return 0, fmt.Errorf("ticket lifetime %v, allowed are %v to %v", t.TTL, minTicketTTL, maxTicketTTL)
	}
	return t.TTL, nil
}

// keys returns the keys in use, made from Keys or at random at first use.
func (t *Tickets) keys() (*keyring, error) {
	if ring := t.ring.Load(); ring != nil {
		return ring, nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if ring := t.ring.Load(); ring != nil {
		return ring, nil
	}
	keys := t.Keys
	if len(keys) == 0 {
		key := make([]byte, ticketKeySize)
		rand.Read(key)
		keys = []Secret{NewSecret(string(key))}
	}
	ring, err := newKeyring(keys)
	if err != nil {
		return nil, err
	}
	t.ring.Store(ring)
	return ring, nil
}
