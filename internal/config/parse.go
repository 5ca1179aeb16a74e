package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Bounds on what is parsed: the parser's time grows with the square of the
// depth. A configuration is far below both.
const (
	maxText  = 256 << 10
	maxDepth = 50
)

// A flaw says where a text is no YAML, and why.
type flaw struct {
	at      place
	message string
}

// parseYAML reads text, which is one YAML document or none, as a tree. A parser
// that panics is taken for one that says no.
func parseYAML(in *source, text string) (root *node, wrong *flaw) {
	in.lines = strings.Split(text, "\n")
	start := place{in, 1, 1}
	if len(text) > maxText {
		return nil, &flaw{start, fmt.Sprintf("longer than %d KiB", maxText>>10)}
	}
	if line, deep := tooDeep(in.lines); deep {
		return nil, &flaw{place{in, line, 1}, fmt.Sprintf("nested deeper than %d", maxDepth)}
	}
	defer func() {
		if r := recover(); r != nil {
			root, wrong = nil, &flaw{start, "not valid YAML"}
		}
	}()
	// Keys that are there twice are told of in convert, with all else that is
	// wrong.
	file, parseErr := parser.ParseBytes([]byte(text), 0, parser.AllowDuplicateMapKey())
	if parseErr != nil {
		at := start
		if s, ok := errors.AsType[*yaml.SyntaxError](parseErr); ok {
			if s.Token != nil && s.Token.Position != nil {
				at = placeOf(in, s.Token, start)
			}
			// The error's own text would quote lines around, and what is in them.
			return nil, &flaw{at, "not valid YAML: " + printable(s.Message)}
		}
		return nil, &flaw{at, "not valid YAML"}
	}
	if len(file.Docs) > 1 && file.Docs[1].Body != nil {
		return nil, &flaw{convert(in, file.Docs[1].Body, start).at, "a second document; want one"}
	}
	if len(file.Docs) == 0 || file.Docs[0].Body == nil {
		return &node{at: start}, nil
	}
	return convert(in, file.Docs[0].Body, start), nil
}

// tooDeep reports whether the nesting of lists and maps within lines may pass
// the bound, and where. It does not look for quotes: a text with that many
// brackets is no value of ours either.
func tooDeep(lines []string) (line int, deep bool) {
	depth := 0
	for i, l := range lines {
		if strings.Count(l, "- ")+strings.Count(l, "? ") > maxDepth && strings.Trim(l, "-? \t\r") == "" {
			return i + 1, true
		}
		for _, r := range l {
			switch r {
			case '[', '{':
				depth++
			case ']', '}':
				depth = max(0, depth-1)
			}
			if depth > maxDepth {
				return i + 1, true
			}
		}
		indent := len(l) - len(strings.TrimLeft(l, " -?"))
		if indent > 4*maxDepth && strings.TrimSpace(l) != "" {
			return i + 1, true
		}
	}
	return 0, false
}

// placeOf returns where t is, or above if that is not known.
func placeOf(in *source, t *token.Token, above place) place {
	if t == nil || t.Position == nil || t.Position.Line < 1 || t.Position.Line > len(in.lines) {
		return above
	}
	return place{in, t.Position.Line, max(1, t.Position.Column)}
}

// convert boils n down. Above is where what holds it is.
func convert(in *source, n ast.Node, above place) *node {
	out := &node{at: above, kind: strange}
	if n == nil {
		out.kind = null
		return out
	}
	out.at = placeOf(in, n.GetToken(), above)
	switch n := n.(type) {
	case *ast.NullNode:
		out.at, out.kind = above, null
	case *ast.StringNode:
		out.kind, out.text, out.origin = text, n.Value, originOf(n.Token)
	case *ast.LiteralNode:
		out.kind = text
		if n.Value != nil {
			out.text = n.Value.Value
		}
	case *ast.IntegerNode:
		out.kind, out.text, out.origin = number, n.Token.Value, originOf(n.Token)
	case *ast.FloatNode:
		out.kind, out.text, out.origin = number, n.Token.Value, originOf(n.Token)
	case *ast.BoolNode:
		out.kind, out.text, out.origin = boolean, n.Token.Value, originOf(n.Token)
	case *ast.SequenceNode:
		out.kind = list
		for _, item := range n.Values {
			at := out.at
			if item != nil {
				at = placeOf(in, item.GetToken(), at)
			}
			value := convert(in, item, at)
			adjoinItem(in, item, value)
			out.items = append(out.items, value)
		}
	case *ast.MappingNode:
		out.kind = mapping
		for _, m := range n.Values {
			out.members = append(out.members, convertMember(in, m, above))
		}
		if n.IsFlowStyle {
			adjoinServers(in, out)
		} else if len(out.members) > 0 {
			out.at = out.members[0].at
		}
	case *ast.MappingValueNode:
		out.kind = mapping
		out.members = []member{convertMember(in, n, above)}
		out.at = out.members[0].at
	case *ast.AnchorNode:
		// Its value is kept so that it can be hidden.
		out.items = []*node{convert(in, n.Value, out.at)}
	case *ast.TagNode:
		out.items = []*node{convert(in, n.Value, out.at)}
	}
	return out
}

func convertMember(in *source, n *ast.MappingValueNode, above place) member {
	t := n.Start
	if n.Key != nil {
		t = n.Key.GetToken()
	}
	at := placeOf(in, t, above)
	m := member{at: at, value: convert(in, n.Value, at)}
	switch key := n.Key.(type) {
	case *ast.StringNode:
		m.key = key.Value
	default:
		// A number, a merge key: never one of ours.
		if t != nil {
			m.key = t.Value
		}
	}
	return m
}

func originOf(t *token.Token) string { return strings.TrimSpace(t.Origin) }
