package ably

import "strings"

// OldStats is a page of statistics as versions 1 and 2 of the protocol have it:
// numbers in objects in objects, where [StatsList] has one name for the whole way.
type OldStats StatsList

// oldStats are how the old names of counts begin, and what for. What is of none of
// them keeps its name.
var oldStats = []struct{ old, new string }{
	{"all.", "messages.all."},
	{"inbound.", "messages.inbound."},
	{"outbound.", "messages.outbound."},
	{"persisted.", "messages.persisted."},
	{"apiRequests.", "apiRequests.all."},
	{"tokenRequests.", "apiRequests.tokenRequests."},
}

func (l *OldStats) decode(d *decoder) {
	for range d.elements {
		s := &Stats{Entries: make(map[string]int64)}
		for name := range d.members {
			if !s.decodeHead(d, string(name)) {
				s.decodeOld(d, string(name))
			}
		}
		if len(*l) < maxMembers {
			*l = append(*l, s)
		}
	}
}

// decodeOld reads the counts whose old names begin with path.
func (s *Stats) decodeOld(d *decoder, path string) {
	if d.kind() == kindTable {
		for name := range d.members {
			s.decodeOld(d, path+"."+string(name))
		}
		return
	}
	for _, of := range oldStats {
		if rest, ok := strings.CutPrefix(path, of.old); ok {
			path = of.new + rest
			break
		}
	}
	n := d.integer()
	if len(s.Entries) < maxMembers {
		s.Entries[path] = n
	}
}

func (l *OldStats) encode(e *encoder) {
	e.list(len(*l))
	for _, s := range *l {
		e.element()
		e.begin()
		s.encodeHead(e)
		s.tree().encodeMembers(e)
		e.end()
	}
	e.endList()
}

// A branch has numbers and further branches by their names.
type branch map[string]any

// tree sorts the counts by their old names.
func (s *Stats) tree() branch {
	root := make(branch)
	for name, n := range s.Entries {
		if n == 0 {
			continue
		}
		for _, of := range oldStats {
			if rest, ok := strings.CutPrefix(name, of.new); ok {
				name = of.old + rest
				break
			}
		}
		at, parts := root, strings.Split(name, ".")
		for _, part := range parts[:len(parts)-1] {
			next, ok := at[part].(branch)
			if !ok {
				next = make(branch)
				at[part] = next
			}
			at = next
		}
		at[parts[len(parts)-1]] = n
	}
	return root
}

func (b branch) encodeMembers(e *encoder) {
	for _, name := range sortedKeys(b) {
		e.chosenName(name)
		switch v := b[name].(type) {
		case branch:
			e.begin()
			v.encodeMembers(e)
			e.end()
		case int64:
			e.writeInteger(v)
		}
	}
}
