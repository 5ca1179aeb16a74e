package config

import (
	"slices"
	"strings"

	"github.com/goccy/go-yaml/ast"
)

// What the parser takes apart within braces is put together here: it takes the
// colon of nats://n1:4222 for that of a key, which without a space behind it it
// is not (YAML 1.2 §7.3.3), and a comma ends a text there by YAML's own rule.

// adjoinItem makes an item of a list one text, where it is a key and a value
// with nothing between them but a colon: {upstream: [ws://a:9000]}.
func adjoinItem(in *source, from ast.Node, item *node) {
	if braces, ok := from.(*ast.MappingNode); ok && braces.IsFlowStyle {
		return
	}
	if item.kind != mapping || len(item.members) != 1 || item.members[0].value.kind == null {
		return
	}
	m := item.members[0]
	if end, ok := m.end(); ok {
		*item = node{at: m.at, kind: text}
		item.stretch(in, end)
	}
}

// adjoinServers makes NATS servers one text that commas took apart:
// {nats: nats://n1,n2:4222} is a map of nats, n2 and what follows. They are
// known by their scheme, and by a comma without a space.
func adjoinServers(in *source, n *node) {
	for i := 0; i < len(n.members); i++ {
		first := n.members[i].value
		if first.kind != text || first.text != first.origin || !hasServerScheme(first.text) {
			continue
		}
		end, next := first.at.column+len([]rune(first.origin)), i+1
		for next < len(n.members) && n.members[next].at == (place{in, first.at.line, end + 1}) {
			behind, ok := n.members[next].end()
			if !ok {
				break
			}
			end, next = behind, next+1
		}
		if next > i+1 {
			first.stretch(in, end)
			n.members = slices.Delete(n.members, i+1, next)
		}
	}
}

func hasServerScheme(text string) bool {
	return strings.HasPrefix(text, "nats://") || strings.HasPrefix(text, "tls://")
}

// end returns the column behind a member whose value is missing or right behind
// its colon, and false for others.
func (m member) end() (column int, ok bool) {
	behind := m.at.column + len([]rune(m.key))
	v := m.value
	if v.kind == null {
		return behind, true
	}
	if v.origin == "" || v.at != (place{m.at.in, m.at.line, behind + 1}) {
		return 0, false
	}
	return v.at.column + len([]rune(v.origin)), true
}

// stretch makes n the text in its line that ends before column end.
func (n *node) stretch(in *source, end int) {
	line := []rune(in.lines[n.at.line-1])
	begin := min(n.at.column-1, len(line))
	n.text = string(line[begin:min(max(end-1, begin), len(line))])
	n.origin = n.text
}
