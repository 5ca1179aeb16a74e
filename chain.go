package usher

import "iter"

// The chains that a lease can be in.
const (
	linkAll = iota
	linkSubject
	linkSession
	linkCount
)

// A link is a lease's place in a chain.
type link struct{ before, after *lease }

// A chain is a list of leases, the oldest first. The links are inside of the
// leases, so that a connection costs no allocation to list. The zero value is
// empty. Callers hold the lock of their Sessions.
type chain struct{ first, last *lease }

func (c *chain) add(l *lease, of int) {
	l.links[of] = link{before: c.last}
	if c.last != nil {
		c.last.links[of].after = l
	} else {
		c.first = l
	}
	c.last = l
}

func (c *chain) drop(l *lease, of int) {
	at := l.links[of]
	if at.before != nil {
		at.before.links[of].after = at.after
	} else {
		c.first = at.after
	}
	if at.after != nil {
		at.after.links[of].before = at.before
	} else {
		c.last = at.before
	}
	l.links[of] = link{}
}

// each iterates over the chain, which must not change meanwhile.
func (c chain) each(of int) iter.Seq[*lease] {
	return func(yield func(*lease) bool) {
		for l := c.first; l != nil; l = l.links[of].after {
			if !yield(l) {
				return
			}
		}
	}
}

func addTo(chains map[string]chain, name string, l *lease, of int) {
	c := chains[name]
	c.add(l, of)
	chains[name] = c
}

func dropFrom(chains map[string]chain, name string, l *lease, of int) {
	c := chains[name]
	if c.drop(l, of); c.first == nil {
		delete(chains, name)
		return
	}
	chains[name] = c
}
