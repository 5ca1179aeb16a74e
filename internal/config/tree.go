package config

import (
	"strconv"
	"strings"
)

// A kind is what a value looks like.
type kind int

const (
	null kind = iota
	raw       // From a variable: text, number or true and false, as wanted.
	text
	number
	boolean
	list
	mapping
	strange // An anchor, alias, tag or the like.
)

// String says what the value is, as in "got a list".
func (k kind) String() string {
	return [...]string{"nothing", "text", "text", "a number", "true or false", "a list", "a map", "what is none of these"}[k]
}

// A source is a text that values come from: the file, or a variable's value.
type source struct {
	name     string // Of the file or the variable.
	lines    []string
	variable bool
	hidden   []hidden
}

// A hidden is a piece of a source that may be a secret in the wrong place.
type hidden struct {
	line, column int
	text         string
}

// A place is where in a source something is. Lines and columns begin with 1,
// columns count characters.
type place struct {
	in           *source
	line, column int
}

// A node is a value, with all that is below it. It is what the library's syntax
// tree is boiled down to, so that what variables say can be put into it.
type node struct {
	at      place
	kind    kind
	text    string // Of a scalar.
	origin  string // Of a scalar: as it is in the source, with its quotes.
	members []member
	items   []*node
}

// A member is a key with its value.
type member struct {
	key   string
	at    place
	value *node
}

// member returns the value of the last member called key, or nil.
func (n *node) member(key string) *node {
	for i := len(n.members) - 1; i >= 0; i-- {
		if n.members[i].key == key {
			return n.members[i].value
		}
	}
	return nil
}

// A path leads to a value: keys (string) and indices (int).
type path []any

// with returns the path to what is one step below. It shares nothing with p.
func (p path) with(steps ...any) path {
	return append(append(make(path, 0, len(p)+len(steps)), p...), steps...)
}

// String returns the path as messages have it: routes[0].path.
func (p path) String() string {
	var b strings.Builder
	for i, step := range p {
		switch step := step.(type) {
		case int:
			b.WriteString("[" + strconv.Itoa(step) + "]")
		case string:
			if i > 0 {
				b.WriteByte('.')
			}
			b.WriteString(printable(step))
		}
	}
	return b.String()
}

// find returns where the value at p is, or the nearest value above it that
// exists.
func (n *node) find(p path) place {
	for _, step := range p {
		var next *node
		switch step := step.(type) {
		case int:
			if step < len(n.items) {
				next = n.items[step]
			} else if step == 0 && len(n.items) == 0 && n.kind != null {
				next = n // One value instead of a list of one.
			}
		case string:
			next = n.member(step)
			for _, m := range n.members {
				if next == nil && strings.EqualFold(m.key, step) {
					next = m.value // The name of a header, in another case.
				}
			}
		}
		if next == nil {
			break
		}
		n = next
	}
	return n.at
}

// hide keeps n and all below it out of messages.
func (n *node) hide() {
	if n.origin != "" && n.at.in != nil {
		n.at.in.hidden = append(n.at.in.hidden, hidden{n.at.line, n.at.column, n.origin})
	}
	for _, m := range n.members {
		m.value.hide()
	}
	for _, item := range n.items {
		item.hide()
	}
}
