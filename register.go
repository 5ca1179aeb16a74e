package usher

import (
	"fmt"
	"time"
)

// undatedTime is how long a credential that does not say when it was issued is
// refused after a revocation, where its verifier was asked about it just now.
const undatedTime = time.Minute

// A register has the revocations that are not forgotten yet. The zero value is
// empty. It holds no credential, and clients cannot fill it.
type register struct {
	entries map[revokedName][]revoked
	sweep   time.Time // When to look for what can be forgotten.
}

// A revokedName is what a revocation names.
type revokedName struct {
	what byte // 's'ubject, session 'i'd, 't'oken, 'g'roup or issue'r'.
	name string
}

// A revoked is a revocation of a name.
type revoked struct {
	issuer             string // Whose, or "" for anybody's.
	before, made, ends time.Time
	reason             error
}

const sweepEvery = time.Minute

func (r *Revocation) name() revokedName {
	switch {
	case r.Subject != "":
		return revokedName{'s', r.Subject}
	case r.Session != "":
		return revokedName{'i', r.Session}
	case r.Token != "":
		return revokedName{'t', r.Token}
	case r.Group != "":
		return revokedName{'g', r.Group}
	}
	return revokedName{'r', r.Issuer}
}

// add notes a revocation. Two of one name are one, the stricter in everything. It
// reports whether that changes anything.
func (g *register) add(n Notice, now time.Time) (news bool) {
	if g.entries == nil {
		g.entries = make(map[revokedName][]revoked)
	}
	g.forget(now)
	if !now.Before(n.Until) {
		return false
	}
	r := n.Revocation
	name, list := r.name(), g.entries[r.name()]
	for i := range list {
		if e := &list[i]; e.issuer == r.Issuer {
			news = e.before.Before(r.IssuedBefore) || e.made.Before(n.Made) || e.ends.Before(n.Until)
			if e.before.Before(r.IssuedBefore) {
				e.before, e.reason = r.IssuedBefore, r.cause()
			}
			e.made, e.ends = latest(e.made, n.Made), latest(e.ends, n.Until)
			return news
		}
	}
	g.entries[name] = append(list, revoked{
		issuer: r.Issuer, before: r.IssuedBefore, made: n.Made, ends: n.Until, reason: r.cause(),
	})
	return true
}

func latest(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// forget drops what has ended, now and then.
func (g *register) forget(now time.Time) {
	if now.Before(g.sweep) {
		return
	}
	g.sweep = now.Add(sweepEvery)
	for name, list := range g.entries {
		kept := list[:0]
		for _, e := range list {
			if now.Before(e.ends) {
				kept = append(kept, e)
			}
		}
		if len(kept) == 0 {
			delete(g.entries, name)
		} else {
			g.entries[name] = kept
		}
	}
}

// refuses returns why the credential that id comes from may not open or renew
// anything, or nil.
func (g *register) refuses(id *Identity, now time.Time) error {
	if len(g.entries) == 0 {
		return nil
	}
	names := [...]revokedName{
		{'s', id.Subject}, {'i', id.Session}, {'t', id.Token}, {'r', id.Issuer}, {'r', id.Claims.String(claimProvider)},
	}
	for _, name := range names {
		if err := g.refusesBy(name, id, now); err != nil {
			return err
		}
	}
	for _, group := range id.groups() {
		if err := g.refusesBy(revokedName{'g', group}, id, now); err != nil {
			return err
		}
	}
	return nil
}

// refusesBy is refuses for one name that id has.
func (g *register) refusesBy(name revokedName, id *Identity, now time.Time) error {
	for _, e := range g.entries[name] {
		if err := e.refuses(id, now); err != nil {
			return err
		}
	}
	return nil
}

func (e *revoked) refuses(id *Identity, now time.Time) error {
	switch {
	case !now.Before(e.ends), e.issuer != "" && !id.vouchedBy(e.issuer):
		return nil
	case !id.Issued.IsZero():
		if id.Issued.Before(e.before) {
			return e.reason
		}
		return nil
	case id.Recheck && !now.Before(e.made.Add(undatedTime)):
		return nil
	}
	return fmt.Errorf("%w; it does not say when it was issued, so it counts as older", e.reason)
}
