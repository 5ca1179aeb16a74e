package config

import (
	"reflect"
	"strconv"
	"strings"
)

// refuse reports variables that are no keys, with the key that is nearest.
// Those that the configuration itself names are somebody's, and left alone.
func refuse(unknown []string, c *Config, root *node, r *report) {
	named := make(map[string]bool)
	for _, route := range c.Routes {
		if route == nil {
			continue
		}
		for _, s := range route.UpstreamHeaders {
			if s != nil {
				named[s.Env] = true
			}
		}
	}
	for _, s := range []*SecretSource{c.Engine.Key, c.Engine.OldKey} {
		if s != nil {
			named[s.Env] = true
		}
	}
	for _, name := range unknown {
		if named[name] {
			continue
		}
		known := candidates(reflect.TypeFor[Config](), strings.TrimPrefix(name, prefix), root, prefix)
		at := place{in: &source{name: printable(name), variable: true}}
		r.add(at, nil, "no key of the configuration%s", didYouMean(name, known))
	}
}

// candidates lists the variables that name may have been meant to be: all keys,
// with those names and numbers for the user's own parts that are there, or that
// name has.
func candidates(t reflect.Type, name string, n *node, above string) []string {
	t = elem(t)
	if n == nil {
		n = &node{}
	}
	list := []string{strings.TrimSuffix(above, "_")}
	switch {
	case isSection(t):
		for _, f := range fieldsOf(t) {
			part := variableName(f.key)
			rest, _ := cutName(name, part)
			list = append(list, candidates(f.typ, rest, n.member(f.key), above+part+"_")...)
		}
	case t.Kind() == reflect.Slice:
		number, rest, _ := strings.Cut(name, "_")
		if i, err := strconv.Atoi(number); err == nil && i >= 0 {
			var item *node
			if i < len(n.items) {
				item = n.items[i]
			}
			list = append(list, candidates(t.Elem(), rest, item, above+strconv.Itoa(i)+"_")...)
		}
	case t.Kind() == reflect.Map:
		for i := 1; i <= len(name); i++ {
			if i == len(name) || name[i] == '_' {
				list = append(list, candidates(t.Elem(), strings.TrimPrefix(name[i:], "_"), nil, above+name[:i]+"_")...)
			}
		}
	}
	return list
}
