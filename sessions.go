package usher

import (
	"context"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/netip"
	"sync"
	"time"
)

// defaultKeep is how long revocations are remembered unless Sessions.Keep says
// otherwise.
const defaultKeep = 24 * time.Hour

// Sessions are the live connections of the Guards that share it: they can be
// listed, renewed and revoked, here and, after Join, on all nodes. The zero
// value is ready for use. It must not be copied after first use.
type Sessions struct {
	// Keep is how long a revocation is remembered. It is also the age at which
	// a credential that says when it was issued is too old to get in, since it
	// could have been revoked before: [Guard.Sessions] must be set for that.
	// It must be the same on all nodes. Default, also of a negative one: 24
	// hours.
	Keep time.Duration

	bus     busOf
	private bool // Of one Guard: nobody else can revoke. Immutable after that is compiled.

	mu sync.Mutex
	// Guarded by mu.
	all      chain            // By admission.
	subjects map[string]chain // By Identity.Subject, those that are not about to end.
	sessions map[string]chain // By Identity.Session, the same.
	last     uint64           // The ID of the newest.
	upgrades int              // Of all, those that are no plain requests.
	revoked  register
	draining bool
	empty    chan struct{} // Closed once upgrades is 0. Nil unless draining.
}

// A Connection is one that is live: an admitted upgrade.
type Connection struct {
	// ID numbers the connections of this process, from 1, as they are admitted.
	ID uint64
	// Identity is who it is, as last renewed.
	Identity *Identity
	// Route is the route that it came in by: see [Guard.Route].
	Route string
	// Carrier is the name of the carrier that brought its credential.
	Carrier string
	// Origin is the Origin of its handshake, or empty if that had none.
	Origin string
	// Client is the client's network: an IPv4 address or 64 bits of IPv6.
	Client netip.Prefix
	// Since is when its handshake came.
	Since time.Time
}

// Len returns how many connections are live: admitted upgrades that are not
// closed, and whose handler has not declined.
func (s *Sessions) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.upgrades
}

// All iterates over the connections that were live when it began, the oldest
// first, except for those that were about to end.
func (s *Sessions) All() iter.Seq[Connection] {
	return func(yield func(Connection) bool) {
		for _, l := range s.snapshot() {
			if !yield(l.connection()) {
				return
			}
		}
	}
}

// snapshot lists the upgrades that are live.
func (s *Sessions) snapshot() []*lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := make([]*lease, 0, s.upgrades)
	for l := range s.all.each(linkAll) {
		if !l.plain && l.indexed {
			list = append(list, l)
		}
	}
	return list
}

func (l *lease) connection() Connection {
	return Connection{
		ID: l.id, Identity: l.identity.Load(), Route: l.visit.route, Carrier: l.carrier,
		Origin: l.visit.origin, Client: l.visit.client, Since: l.visit.begun.Round(0),
	}
}

// Drain ends every live connection with 1001, each at a random time within
// spread so that not all come back at once, and returns when all are closed or
// ctx ends, with its error. From then on no connection is admitted.
// [http.Server.Shutdown] does not know of hijacked connections: call Drain
// beside it.
func (s *Sessions) Drain(ctx context.Context, spread time.Duration) error {
	empty := s.startDrain()
	for _, l := range s.snapshot() {
		at := time.Duration(0)
		if spread > 0 {
			at = rand.N(spread)
		}
		time.AfterFunc(at, func() { l.end(drainRefusal()) })
	}
	select {
	case <-empty:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Sessions) startDrain() (empty chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.draining = true
	if s.empty == nil {
		s.empty = make(chan struct{})
		if s.upgrades == 0 {
			close(s.empty)
		}
	}
	return s.empty
}

func (s *Sessions) isDraining() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.draining
}

func drainRefusal() *Refusal {
	return newRefusal(http.StatusServiceUnavailable, CloseGoingAway, "draining", nil)
}

// add lets l, which has its identity, live until remove. Its error says why it
// may not. Where it takes the place of another connection of its identity, that
// is put out.
func (s *Sessions) add(l *lease) error {
	oldest, err := s.enter(l)
	if oldest != nil {
		oldest.endLater(replacedRefusal())
	}
	return err
}

func (s *Sessions) enter(l *lease) (oldest *lease, err error) {
	id := l.identity.Load()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining && !l.plain {
		return nil, drainRefusal()
	}
	// Once more, now that no revocation can come between: see verify.
	if err := s.revoked.refuses(id, time.Now()); err != nil {
		return nil, err
	}
	if most := l.guard.limits.PerIdentity; most > 0 && !l.plain {
		var n int
		if n, oldest = s.count(id, l.visit.route); n >= most && !l.guard.limits.ReplaceOldest {
			return nil, errTooMany
		} else if n < most {
			oldest = nil
		} else {
			s.unlink(oldest) // Its goodbye may take a while.
		}
	}
	s.last++
	l.id, l.listed = s.last, true
	s.all.add(l, linkAll)
	if !l.plain {
		s.upgrades++
	}
	s.link(l, id)
	return oldest, nil
}

// count returns how many connections id has on route, and the oldest. Callers
// hold mu.
func (s *Sessions) count(id *Identity, route string) (n int, oldest *lease) {
	for l := range s.subjects[id.Subject].each(linkSubject) {
		if l.plain || l.visit.route != route || l.identity.Load().Issuer != id.Issuer {
			continue
		}
		if n++; oldest == nil || l.id < oldest.id { // One whose session changed is last in its chain.
			oldest = l
		}
	}
	return n, oldest
}

func replacedRefusal() *Refusal {
	return newRefusal(http.StatusConflict, CloseForbidden, "replaced", errTooMany)
}

// replace gives l a fresh identity, of the same issuer and subject. Its error
// says why that may not be.
func (s *Sessions) replace(l *lease, fresh *Identity) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.revoked.refuses(fresh, time.Now()); err != nil {
		return err
	}
	if !l.indexed {
		return errEnded
	}
	if now := l.identity.Load(); now.Session != fresh.Session || now.Subject != fresh.Subject {
		s.unlink(l)
		defer s.link(l, fresh)
	}
	l.identity.Store(fresh)
	return nil
}

// leave takes l out of all that looks for live connections: it is about to end.
func (s *Sessions) leave(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(l)
}

// remove forgets l, which is closed. It may never have been added.
func (s *Sessions) remove(l *lease) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.unlink(l)
	if !l.listed {
		return
	}
	l.listed = false
	s.all.drop(l, linkAll)
	if l.plain {
		return
	}
	if s.upgrades--; s.upgrades == 0 && s.empty != nil {
		close(s.empty)
	}
}

func (s *Sessions) link(l *lease, id *Identity) {
	if s.subjects == nil {
		s.subjects, s.sessions = make(map[string]chain), make(map[string]chain)
	}
	addTo(s.subjects, id.Subject, l, linkSubject)
	addTo(s.sessions, id.Session, l, linkSession)
	l.indexed = true
}

func (s *Sessions) unlink(l *lease) {
	if !l.indexed {
		return
	}
	l.indexed = false
	id := l.identity.Load()
	dropFrom(s.subjects, id.Subject, l, linkSubject)
	dropFrom(s.sessions, id.Session, l, linkSession)
}
