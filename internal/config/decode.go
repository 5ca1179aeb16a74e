package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// A decoder fills the types of this package from a tree. The library's own
// decoder stops at the first thing that is wrong; this one reports all of them
// and goes on.
type decoder struct {
	dir     string // What relative names of files are relative to.
	reports *report
}

// decode fills v, which can be set, from n.
func (d *decoder) decode(n *node, v reflect.Value, p path) {
	if v.Kind() == reflect.Pointer {
		v.Set(reflect.New(v.Type().Elem()))
		v = v.Elem()
	}
	if n.kind == strange {
		d.wrong(n, p, "anchors, aliases, tags and special numbers are not taken; write the value out")
		return
	}
	if read, ok := readers[v.Type()]; ok {
		d.readText(n, v, p, read)
		return
	}
	if v.Type() == reflect.TypeFor[Servers]() {
		d.servers(n, v, p)
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.section(n, v, p)
	case reflect.Map:
		d.names(n, v, p)
	case reflect.Slice:
		d.list(n, v, p)
	default:
		d.scalar(n, v, p)
	}
}

// wrong reports that n is not what is wanted. What is in a list or map stays
// hidden then: nothing says that it is no secret.
func (d *decoder) wrong(n *node, p path, format string, args ...any) {
	if n.kind == list || n.kind == mapping || n.kind == strange {
		n.hide()
	}
	d.reports.add(n.at, p, format, args...)
}

func (d *decoder) readText(n *node, v reflect.Value, p path, read func(text, dir string) (any, error)) {
	if n.kind != text && n.kind != raw {
		what := "text"
		if _, err := read("", d.dir); err != nil && v.Type() != reflect.TypeFor[Address]() {
			what = strings.TrimPrefix(err.Error(), "want ")
		} else if err != nil {
			what = "an address such as 127.0.0.1:8080"
		}
		d.wrong(n, p, "got %v, want %s", n.kind, what)
		return
	}
	value, err := read(n.text, d.dir)
	if err != nil {
		d.reports.add(n.at, p, "%v", err)
		return
	}
	v.Set(reflect.ValueOf(value))
}

func (d *decoder) scalar(n *node, v reflect.Value, p path) {
	switch v.Kind() {
	case reflect.String:
		switch n.kind {
		case text, raw:
			v.SetString(n.text)
		case number, boolean:
			d.wrong(n, p, "got %v, want text; put it in quotes", n.kind)
		default:
			d.wrong(n, p, "got %v, want text", n.kind)
		}
	case reflect.Bool:
		switch {
		case (n.kind == boolean || n.kind == raw) && strings.EqualFold(n.text, "true"):
			v.SetBool(true)
		case (n.kind == boolean || n.kind == raw) && strings.EqualFold(n.text, "false"):
			v.SetBool(false)
		default:
			d.wrong(n, p, "got %v, want true or false", n.kind)
		}
	case reflect.Int:
		i, err := strconv.ParseInt(n.text, 10, 32)
		if n.kind != number && n.kind != raw || err != nil {
			d.wrong(n, p, "got %v, want a whole number such as 100", n.kind)
			return
		}
		v.SetInt(i)
	}
}

// list takes one value for a list of one where the type is Upstreams.
func (d *decoder) list(n *node, v reflect.Value, p path) {
	items := n.items
	switch {
	case n.kind == null, n.kind == list:
	case v.Type() == reflect.TypeFor[Upstreams]() && (n.kind == text || n.kind == raw):
		items = []*node{n}
	default:
		d.wrong(n, p, "got %v, want a list", n.kind)
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		at := p.with(i)
		if n.kind != list {
			at = p
		}
		d.decode(item, v.Index(i), at)
	}
}

// names fills a map, whose keys are the user's own.
func (d *decoder) names(n *node, v reflect.Value, p path) {
	if n.kind != mapping && n.kind != null {
		d.wrong(n, p, "got %v, want a map", n.kind)
		return
	}
	v.Set(reflect.MakeMap(v.Type()))
	seen := make(map[string]place)
	for _, m := range n.members {
		key := reflect.New(v.Type().Key()).Elem()
		d.decode(&node{at: m.at, kind: text, text: m.key}, key, p.with(m.key))
		if !d.reports.clean(p.with(m.key)) {
			m.value.hide()
			continue
		}
		m.key = key.String() // In its canonical form, so that x-user is X-User.
		at := p.with(m.key)
		if d.twice(seen, m, at) {
			continue
		}
		value := reflect.New(v.Type().Elem()).Elem()
		d.decode(m.value, value, at)
		v.SetMapIndex(key, value)
	}
}

// section fills a struct, whose fields are the keys that there are.
func (d *decoder) section(n *node, v reflect.Value, p path) {
	if n.kind != mapping && n.kind != null {
		n.hide() // It may be a secret that should have been in a file.
		keys := oneOf(keysOf(v.Type()), "and")
		if _, choice := choices[v.Type()]; choice {
			keys = "one of " + oneOf(choicesOf(v.Type()), "or")
		}
		d.wrong(n, p, "got %v, want a map with %s", n.kind, keys)
		return
	}
	fields := fieldsOf(v.Type())
	known := make(map[string]field, len(fields))
	for _, f := range fields {
		known[f.key] = f
	}
	seen := make(map[string]place)
	for _, m := range n.members {
		at := p.with(m.key)
		f, ok := known[m.key]
		switch {
		case !ok:
			m.value.hide()
			d.reports.add(m.at, at, "unknown key%s", d.hint(m.key, v.Type(), p))
		case !d.twice(seen, m, at):
			d.decode(m.value, v.Field(f.index), at)
			d.bounds(f, m.value, v.Field(f.index), at)
		}
	}
	for _, f := range fields {
		if _, given := seen[f.key]; !given {
			d.missing(n, f, v.Field(f.index), p)
		}
	}
	if what, ok := choices[v.Type()]; ok && d.reports.clean(p) {
		d.choice(n, what, v.Type(), p)
	}
}

// twice notes a key, and reports one that was there before.
func (d *decoder) twice(seen map[string]place, m member, p path) bool {
	if first, again := seen[m.key]; again {
		m.value.hide()
		d.reports.add(m.at, p, "given twice, first in line %d", first.line)
		return true
	}
	seen[m.key] = m.at
	return false
}

// hint says which key may have been meant.
func (d *decoder) hint(key string, section reflect.Type, p path) string {
	keys := keysOf(section)
	if hint := didYouMean(key, keys); hint != "" {
		return hint
	}
	if places := below(key, section, p); len(places) == 1 {
		return "; it is a key of " + places[0].String()
	}
	return "; known here: " + strings.Join(keys, ", ")
}

// missing gives a field that is not there its default.
func (d *decoder) missing(n *node, f field, v reflect.Value, p path) {
	at := p.with(f.key)
	switch {
	case f.required:
		d.reports.add(n.at, at, "missing; it is required")
	case isSection(f.typ):
		section := &node{at: n.at}
		if key, text, ok := strings.Cut(f.fallback, ": "); ok {
			section.kind = mapping
			section.members = []member{{key, n.at, &node{at: n.at, kind: raw, text: text}}}
		}
		d.decode(section, v, at)
	case f.fallback != "":
		d.decode(&node{at: n.at, kind: raw, text: f.fallback}, v, at)
	}
}

// choice reports a section that has not exactly one of its keys, and keys
// without the one that they are beside.
func (d *decoder) choice(n *node, what string, section reflect.Type, p path) {
	keys := choicesOf(section)
	var given []string
	at := n.at
	for _, m := range n.members {
		if !slices.Contains(keys, m.key) {
			continue
		}
		given = append(given, m.key)
		if m.at.in.variable {
			at = m.at // The one to look at: in the file there may be a single key.
		}
	}
	switch {
	case len(n.members) == 0:
		d.reports.add(n.at, p, "empty; want %s: %s", what, oneOf(keys, "or"))
	case len(given) == 0:
		d.reports.add(n.at, p, "want %s: %s", what, oneOf(keys, "or"))
	case len(given) > 1:
		d.reports.add(at, p, "got %s; %s is one of them", oneOf(given, "and"), what)
	}
	for _, f := range fieldsOf(section) {
		i := slices.IndexFunc(n.members, func(m member) bool { return m.key == f.key })
		if i >= 0 && len(given) == 1 && len(f.beside) > 0 && !slices.Contains(f.beside, given[0]) {
			d.reports.add(n.members[i].at, p.with(f.key), "is for %s, and there is none", oneOf(f.beside, "or"))
		}
	}
}

// oneOf joins names to "a, b or c".
func oneOf(names []string, last string) string {
	if len(names) < 2 {
		return strings.Join(names, "")
	}
	n := len(names) - 1
	return strings.Join(names[:n], ", ") + " " + last + " " + names[n]
}
