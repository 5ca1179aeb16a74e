package ably

import (
	"errors"
	"maps"
	"slices"
)

var errNoFrame = errors.New("a frame is an object")

// sortedKeys puts the names of a table in order, so that it is written one way.
func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// texts reads a list of strings. null among them is empty.
func (d *decoder) texts() []string {
	var list []string
	for range d.elements {
		if len(list) >= maxMembers {
			d.refuse(BadRequest, "a list of more than %d", maxMembers)
			d.skip()
			continue
		}
		list = append(list, d.text())
	}
	return list
}

// textOrTexts reads one string or a list of them.
func (d *decoder) textOrTexts() []string {
	if d.kind() == kindText {
		return []string{d.text()}
	}
	return d.texts()
}

func (e *encoder) texts(name string, list []string) {
	e.name(name)
	e.list(len(list))
	for _, s := range list {
		e.element()
		e.writeText(s)
	}
	e.endList()
}

// serials writes serials. One that is empty is null.
func (e *encoder) serials(name string, list []string) {
	e.name(name)
	e.list(len(list))
	for _, s := range list {
		e.element()
		if s == "" {
			e.writeNull()
		} else {
			e.writeText(s)
		}
	}
	e.endList()
}

// chosenName writes the name of a member that a client has chosen.
func (e *encoder) chosenName(name string) {
	if e.format == JSON {
		e.b = append(appendQuoted(separated(e.b), name), ':')
		return
	}
	e.open[len(e.open)-1].members++
	e.writeText(name)
}
