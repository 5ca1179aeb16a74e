package realtime

import (
	"slices"
	"strings"
)

// channels are those that one client is attached to, in the order of the names by
// which it knows them. Most have one, for which a map would be a quarter of a
// kilobyte.
type channels []*channel

// find is where a channel is, or would be.
func (l channels) find(name string) (int, bool) {
	return slices.BinarySearchFunc(l, name, func(c *channel, name string) int { return strings.Compare(c.name, name) })
}

// called returns the channel that the client calls so, or nil.
func (l channels) called(name string) *channel {
	if i, ok := l.find(name); ok {
		return l[i]
	}
	return nil
}

// add adds a channel. There is none of its name.
func (l *channels) add(c *channel) {
	i, _ := l.find(c.name)
	*l = slices.Insert(*l, i, c)
}

// remove removes a channel, if it is there.
func (l *channels) remove(c *channel) {
	if i, ok := l.find(c.name); ok && (*l)[i] == c {
		*l = slices.Delete(*l, i, i+1)
	}
}
