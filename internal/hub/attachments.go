package hub

import (
	"slices"
	"strings"
)

// attachments are those of one connection, in the order of their channels' names.
// Most connections have one, for which a map would be a quarter of a kilobyte.
type attachments []*Attachment

// find is where that to a channel is, or would be.
func (l attachments) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l, name, func(a *Attachment, name string) int { return strings.Compare(a.Channel(), name) })
}

// to returns that to a channel, or nil.
func (l attachments) to(name string) *Attachment {
	if i, ok := l.find(name); ok {
		return l[i]
	}
	return nil
}

// add adds one, and returns that to the same channel, in whose place it is, or nil.
func (l *attachments) add(a *Attachment) (old *Attachment) {
	i, ok := l.find(a.Channel())
	if ok {
		old, (*l)[i] = (*l)[i], a
		return old
	}
	*l = slices.Insert(*l, i, a)
	return nil
}

// remove removes a, and reports whether it was there.
func (l *attachments) remove(a *Attachment) bool {
	i, ok := l.find(a.Channel())
	if !ok || (*l)[i] != a {
		return false
	}
	*l = slices.Delete(*l, i, i+1)
	return true
}
