package usher

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// Renew gives the live connections of a session a fresh identity, without an
// interruption: those with the issuer, subject and session of id that came in by
// one of routes (see [Guard.Route]), or by any if none is named. They now end
// when id does, and their handlers see its claims at once. A connection that was
// renewed with a credential of a later time keeps that. One on a route that
// requires more than id is allowed (see [Guard.Require]) ends with 4403. It
// returns how many connections there are, here and, after Join, on all nodes
// that answer.
//
// id comes from a verifier: Renew believes it. The error is ErrForbidden if the
// session belongs to another subject, ErrExpired or ErrRevoked if id is, and
// ErrUnavailable if there is no such connection here and the other nodes could
// not be asked; then nothing has changed.
func (s *Sessions) Renew(ctx context.Context, id *Identity, routes ...string) (int, error) {
	full, err := s.accept(id)
	if err != nil {
		return 0, err
	}
	all, err := s.renewAll(ctx, full, routes, nil)
	return all.connections, err
}

// An extent is how many connections there are, and when the first of those on
// this node ends; zero if there is none.
type extent struct {
	connections int
	ends        time.Time
}

func (e *extent) add(ends time.Time) { e.merge(extent{1, ends}) }

func (e *extent) merge(other extent) {
	e.connections += other.connections
	if e.ends.IsZero() || !other.ends.IsZero() && other.ends.Before(e.ends) {
		e.ends = other.ends
	}
}

// An asker judges a credential once more: see [Identity.Recheck].
type asker func(context.Context) (*Identity, error)

// renewAll is Renew on all nodes. Of again only this one knows: credentials do
// not travel.
func (s *Sessions) renewAll(ctx context.Context, id *Identity, routes []string, again asker) (extent, error) {
	all, err := s.renew(id, routes, again)
	if err != nil {
		return extent{}, err
	}
	there, err := s.tell(ctx, Notice{Renewal: &Renewal{Identity: *id, Routes: routes}, Made: time.Now().Round(0)})
	if err != nil && all.connections+there == 0 {
		return extent{}, fmt.Errorf("%w: no live connection here, and other nodes could not be asked: %w", ErrUnavailable, err)
	}
	all.connections += there
	return all, nil
}

// renew is Renew on this node.
func (s *Sessions) renew(id *Identity, routes []string, again asker) (all extent, err error) {
	list, err := s.ofSession(id, routes)
	if err != nil {
		return all, err
	}
	for _, l := range list {
		if ends, lives := l.renew(id, again); lives {
			all.add(ends)
		}
	}
	return all, nil
}

// ofSession lists the connections of id's session on these routes.
func (s *Sessions) ofSession(id *Identity, routes []string) ([]*lease, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.revoked.refuses(id, time.Now()); err != nil {
		return nil, err
	}
	var list []*lease
	for l := range s.sessions[id.Session].each(linkSession) {
		switch now := l.identity.Load(); {
		case now.Issuer != id.Issuer:
		case now.Subject != id.Subject:
			return nil, fmt.Errorf("%w: the session belongs to another subject", ErrForbidden)
		case !l.plain && (len(routes) == 0 || slices.Contains(routes, l.visit.route)):
			list = append(list, l)
		}
	}
	return list, nil
}

// renew gives the connection a fresh identity of the same session, if it still
// lives. One of a credential that was issued earlier than the last changes
// nothing: a notice may overtake another, and fewer permissions must not become
// more. It returns when the connection ends now.
func (l *lease) renew(fresh *Identity, again asker) (ends time.Time, lives bool) {
	lives, changed, err := l.take(fresh, again)
	if err != nil {
		l.endLater(l.refused(err))
	}
	if changed {
		e := l.visit.event(EventRenewed)
		e.Carrier, e.Identity = l.carrier, fresh
		l.report(e)
		l.renewed()
	}
	ends, _ = l.deadline(l.identity.Load())
	return ends, lives
}

// take is renew without telling anybody. Its error is a reason to end the
// connection.
func (l *lease) take(fresh *Identity, again asker) (lives, changed bool, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.identity.Load()
	switch {
	case l.over:
		return false, false, nil
	case !fresh.Issued.IsZero() && fresh.Issued.Before(now.Issued), fresh.same(now):
		return true, false, nil
	}
	if err := l.guard.require.unmet(fresh); err != nil {
		return false, false, err
	}
	if l.guard.sessions.replace(l, fresh) != nil {
		return false, false, nil // Whoever revoked it, or ends the connection, sees to that.
	}
	if again != nil {
		l.again = &reasking{ask: again}
	}
	l.anew(fresh)
	return true, true, nil
}

// same reports whether both come from one credential, which has a name.
func (id *Identity) same(other *Identity) bool {
	return id.Token != "" && id.Token == other.Token && id.Issued.Equal(other.Issued) && id.Expires.Equal(other.Expires)
}

// accept completes a verifier's yes, and checks it against what is revoked.
func (s *Sessions) accept(id *Identity) (*Identity, error) {
	full, err := accept(id)
	if err != nil {
		return nil, err
	}
	return full, s.Admits(full)
}

// Admits reports why a credential is refused that its verifier takes: it was
// revoked, or is so old that nobody knows any more whether it was. It asks no
// network. A Guard does this by itself; it is for those who give one credential
// for another.
func (s *Sessions) Admits(id *Identity) error {
	now := time.Now()
	if !s.private && !id.Recheck && !id.Issued.IsZero() && now.Sub(id.Issued) > s.keep() {
		return fmt.Errorf("%w: issued %v ago, and revocations are kept for %v", ErrExpired,
			now.Sub(id.Issued).Round(time.Second), s.keep())
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.revoked.refuses(id, now)
}
