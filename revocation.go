package usher

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// A Revocation takes back credentials: it ends the connections that they have
// opened, and no more are opened with them. It names exactly one of Subject,
// Session, Token and Group, or else Issuer; beside one of the others, Issuer
// narrows it to who vouched for that.
type Revocation struct {
	// Subject is whose credentials are meant: all of them (the claim "sub").
	Subject string `json:"subject,omitempty"`
	// Session is the login whose credentials are meant: see [Identity.Session].
	Session string `json:"session,omitempty"`
	// Token is the one credential that is meant (the claim "jti").
	Token string `json:"token,omitempty"`
	// Group is whose members' credentials are meant: it is in their claim "groups"
	// (RFC 9068 §2.2.3.1), a text or an array of texts.
	Group string `json:"group,omitempty"`
	// Issuer is whose credentials are meant (the claim "iss"), and those that
	// another issuer made for one of its own (the claim "idp").
	Issuer string `json:"issuer,omitempty"`
	// Reason is for the log and whoever looks up an explain id. Clients never
	// see it. At most 256 bytes. Default: none.
	Reason string `json:"reason,omitempty"`
	// IssuedBefore spares credentials that were issued at this time or later,
	// so that whoever logs in again gets in. Times in tokens are mostly in whole
	// seconds, and then a login within the second of the revocation counts as
	// before it; one with a fraction is taken as it is.
	// At most a minute ahead. Default: now.
	IssuedBefore time.Time `json:"issued_before,omitzero"`
	// Applies is when the revocation takes effect, at most ten minutes ahead.
	// Until then the credentials are good, and the handlers of the connections are
	// told: see [Parting.Warning]. Default: at once.
	Applies time.Time `json:"applies,omitzero"`
}

// maxApplies is how far ahead a revocation may take effect.
const maxApplies = 10 * time.Minute

// maxReason bounds a revocation's reason, and maxNamed what it names, in bytes.
const (
	maxReason = 256
	maxNamed  = 1024
)

// Validate reports what is wrong with the fields: none or several of them name
// something, or one is too long.
func (r Revocation) Validate() error {
	switch {
	case time.Until(r.IssuedBefore) > time.Minute:
		return errors.New("revocation's issued_before is more than a minute ahead")
	case time.Until(r.Applies) > maxApplies:
		return errors.New("revocation's applies is more than ten minutes ahead")
	}
	return r.validateNames()
}

// validateNames is Validate but for the time, which another node has checked by
// its own clock: where the clocks are apart, its revocations must count.
func (r *Revocation) validateNames() error {
	named := 0
	for _, s := range []string{r.Subject, r.Session, r.Token, r.Group} {
		if s != "" {
			named++
		}
	}
	switch {
	case named == 0 && r.Issuer == "":
		return errors.New("revocation of nobody: it names no subject, session, token, group or issuer")
	case named > 1:
		return errors.New("revocation names more than one of subject, session, token and group")
	case max(len(r.Subject), len(r.Session), len(r.Token), len(r.Group), len(r.Issuer)) > maxNamed:
		return errors.New("revocation names something of more than 1024 bytes")
	case len(r.Reason) > maxReason:
		return errors.New("revocation's reason has more than 256 bytes")
	}
	return nil
}

// ErrRevoked is a credential that was taken back. The client is told to get a
// fresh one (4401).
var ErrRevoked = errors.New("credential revoked")

// Revoke takes back the credentials that r names, on this node and, after Join,
// on all: it ends the connections that they opened, with 4401 and the word
// "revoked", and refuses them as long as [Sessions.Keep] says. It returns how many
// connections it ends on this node, whose goodbyes may take 3 s; of one that
// applies later, how many it would end now.
//
// A credential that does not say when it was issued counts as issued before. So
// that such a password, or another one that its verifier is asked about again
// (see [Identity.Recheck]), can be used once more, it is refused for one minute
// only.
//
// An error of Validate means that nothing was done. With ErrUnavailable it is
// done here, and other nodes may not know: try again.
func (s *Sessions) Revoke(ctx context.Context, r Revocation) (int, error) {
	if err := r.Validate(); err != nil {
		return 0, err
	}
	now := time.Now().Round(0)
	if r.IssuedBefore.IsZero() {
		r.IssuedBefore = now
	}
	n := Notice{Revocation: &r, Made: now, Until: latest(latest(now, r.IssuedBefore), r.Applies).Add(s.keep())}
	ended := s.revoke(n)
	if _, err := s.tell(ctx, n); err != nil {
		return ended, fmt.Errorf("%w: revoked on this node, and other nodes may not know of it: %w", ErrUnavailable, err)
	}
	return ended, nil
}

// revoke does what n says, here, now or when it applies.
func (s *Sessions) revoke(n Notice) int {
	if wait := time.Until(n.Revocation.Applies); wait > 0 {
		// Of a clock that is far behind it is not known when that is.
		time.AfterFunc(min(wait, maxApplies), func() { s.revokeNow(n) })
		return s.warn(n)
	}
	return s.revokeNow(n)
}

// warn tells the connections that n will end of it.
func (s *Sessions) warn(n Notice) int {
	s.mu.Lock()
	concerned := s.concerned(n)
	s.mu.Unlock()
	for _, l := range concerned {
		l.warn(n.Revocation.Applies)
	}
	return len(concerned)
}

func (s *Sessions) revokeNow(n Notice) int {
	ending := s.remember(n)
	for _, l := range ending {
		why := newRefusal(http.StatusUnauthorized, CloseUnauthenticated, "revoked", n.Revocation.cause())
		why.Carrier = l.carrier
		l.endLater(why)
	}
	return len(ending)
}

// remember notes the revocation and returns the connections that it ends.
func (s *Sessions) remember(n Notice) []*lease {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.revoked.add(n, time.Now()) {
		return nil // Told again: whoever it ends has ended, and nobody came in since.
	}
	return s.concerned(n)
}

// concerned lists the connections that n is about. Callers hold mu.
func (s *Sessions) concerned(n Notice) []*lease {
	r := n.Revocation
	from, of := s.all, linkAll
	switch {
	case r.Subject != "":
		from, of = s.subjects[r.Subject], linkSubject
	case r.Session != "":
		from, of = s.sessions[r.Session], linkSession
	}
	var ending []*lease
	for l := range from.each(of) {
		if l.indexed && r.matches(l.identity.Load()) && !n.spares(l) {
			ending = append(ending, l)
		}
	}
	return ending
}

// matches reports whether r is about the credential that id comes from.
func (r *Revocation) matches(id *Identity) bool {
	switch {
	case r.Issuer != "" && !id.vouchedBy(r.Issuer),
		r.Subject != "" && r.Subject != id.Subject,
		r.Session != "" && r.Session != id.Session,
		r.Token != "" && r.Token != id.Token,
		r.Group != "" && !slices.Contains(id.groups(), r.Group):
		return false
	}
	return id.Issued.IsZero() || id.Issued.Before(r.IssuedBefore)
}

// spares reports whether l came in, by a credential without a time that its
// verifier was asked about, when the revocation no longer refused those. A bus
// may deliver a notice again.
func (n *Notice) spares(l *lease) bool {
	id := l.identity.Load()
	return id.Issued.IsZero() && id.Recheck && !l.visit.begun.Before(n.Made.Add(undatedTime))
}

// cause is the error behind what the revocation ends.
func (r *Revocation) cause() error {
	if r.Reason == "" {
		return ErrRevoked
	}
	return fmt.Errorf("%w: %q", ErrRevoked, r.Reason)
}

func (s *Sessions) keep() time.Duration {
	if s.Keep <= 0 {
		return defaultKeep
	}
	return s.Keep
}
