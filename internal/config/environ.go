package config

import (
	"cmp"
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// prefix begins the names of the variables that are keys.
const prefix = "USHER_"

// others are variables with that prefix that are no keys: the name of the
// configuration file, and what the browser tests are told.
var others = []string{prefix + "CONFIG", prefix + "BROWSERS"}

// A variable is a key that the environment sets.
type variable struct {
	name, value string
	path        path
	typ         reflect.Type
}

// overlay puts what the environment says into root, over what the file says. It
// returns the variables that are no keys.
func overlay(root *node, environ []string, r *report) (unknown []string) {
	var set []variable
	values := make(map[string]string)
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if strings.HasPrefix(name, prefix) && !slices.Contains(others, name) {
			values[name] = value // The last one counts, as for os.Getenv.
		}
	}
	for name, value := range values {
		p, t := resolve(reflect.TypeFor[Config](), strings.TrimPrefix(name, prefix), root, nil)
		switch {
		case p == nil:
			unknown = append(unknown, name)
		case value != "": // An empty one is as if it were not there.
			set = append(set, variable{name, value, p, t})
		}
	}
	// What is above comes first, so that USHER_ROUTES_0_PATH goes over what
	// USHER_ROUTES says; and items in their order, so that they can be appended.
	slices.SortFunc(set, func(a, b variable) int {
		return cmp.Or(comparePaths(a.path, b.path), cmp.Compare(len(a.path), len(b.path)))
	})
	for _, v := range set {
		if !v.apply(root, r) {
			unknown = append(unknown, v.name)
		}
	}
	slices.Sort(unknown)
	return unknown
}

func comparePaths(a, b path) int {
	for i := range min(len(a), len(b)) {
		x, xOK := a[i].(int)
		y, yOK := b[i].(int)
		c := cmp.Compare(fmt.Sprint(a[i]), fmt.Sprint(b[i]))
		if xOK && yOK {
			c = cmp.Compare(x, y)
		}
		if c != 0 {
			return c
		}
	}
	return 0
}

// apply puts the variable's value into root. It reports false if the name turns
// out to be no key: USHER_VERIFIERS_LOGIN_JWT_ISUER would be all of a verifier
// called login_jwt_isuer, but is no map.
func (v variable) apply(root *node, r *report) bool {
	in := &source{name: v.name, variable: true}
	at := place{in: in, line: 1, column: 1}
	value := &node{at: at, kind: raw, text: v.value, origin: v.value}
	t := elem(v.typ)
	one := t == reflect.TypeFor[Upstreams]() || t == reflect.TypeFor[Servers]()
	listed := !one || strings.HasPrefix(strings.TrimSpace(v.value), "[")
	if isSection(t) || t.Kind() == reflect.Map || t.Kind() == reflect.Slice && listed {
		parsed, wrong := parseYAML(in, v.value)
		if wrong != nil {
			r.add(at, v.path, "%s", wrong.message)
			return true
		}
		value = parsed
	}
	named := t == reflect.TypeFor[Verifier]() || t == reflect.TypeFor[SecretSource]()
	if named && value.kind != mapping && root.find(v.path) == root.find(v.path[:len(v.path)-1]) {
		return false
	}
	if why := root.put(v.path, value); why != "" {
		r.add(at, v.path, "cannot be set: %s", why)
	}
	return true
}

// put sets the value at p, and makes what is missing on the way. It returns why
// it cannot, or "".
func (n *node) put(p path, value *node) string {
	for i, step := range p {
		above := p[:i].String()
		var next **node
		switch step := step.(type) {
		case string:
			if n.kind == null {
				n.kind, n.at = mapping, value.at
			}
			if n.kind != mapping {
				return strings.TrimSpace(above + " is no map")
			}
			at := slices.IndexFunc(n.members, func(m member) bool { return m.key == step })
			if at < 0 {
				at = len(n.members)
				n.members = append(n.members, member{step, value.at, &node{at: value.at}})
			}
			n.members[at].at = value.at
			next = &n.members[at].value
		case int:
			if n.kind == null {
				n.kind, n.at = list, value.at
			}
			if n.kind != list {
				return above + " is no list"
			}
			if step > len(n.items) {
				return fmt.Sprintf("the next item is %s[%d]", above, len(n.items))
			}
			if step == len(n.items) {
				n.items = append(n.items, &node{at: value.at})
			}
			next = &n.items[step]
		}
		if i == len(p)-1 {
			*next = value
			return ""
		}
		n = *next
	}
	return ""
}

// resolve finds the key that the name of a variable, without its prefix, means.
// The path is nil if there is none. Names of the user's own, such as those of
// verifiers, are looked for in n, which is nil where the file says nothing.
func resolve(t reflect.Type, name string, n *node, p path) (path, reflect.Type) {
	t = elem(t)
	if name == "" {
		return p, t
	}
	if n == nil {
		n = &node{}
	}
	switch {
	case isSection(t):
		for _, f := range fieldsOf(t) {
			rest, ok := cutName(name, variableName(f.key))
			if !ok {
				continue
			}
			if found, typ := resolve(f.typ, rest, n.member(f.key), p.with(f.key)); found != nil {
				return found, typ
			}
		}
	case t.Kind() == reflect.Slice:
		digits := regexp.MustCompile(`^(0|[1-9][0-9]{0,5})(?:_|$)`).FindStringSubmatch(name)
		if digits == nil {
			return nil, nil
		}
		i, _ := strconv.Atoi(digits[1])
		var item *node
		if i < len(n.items) {
			item = n.items[i]
		}
		return resolve(t.Elem(), name[len(digits[0]):], item, p.with(i))
	case t.Kind() == reflect.Map:
		return resolveName(t, name, n, p)
	}
	return nil, nil
}

// resolveName finds a key of a map: one that is there, else the shortest that
// makes sense of the rest of the name.
func resolveName(t reflect.Type, name string, n *node, p path) (path, reflect.Type) {
	for _, m := range n.members {
		if rest, ok := cutName(name, variableName(m.key)); ok {
			if found, typ := resolve(t.Elem(), rest, m.value, p.with(m.key)); found != nil {
				return found, typ
			}
		}
	}
	for i := 1; i <= len(name); i++ {
		if i < len(name) && name[i] != '_' {
			continue
		}
		key := strings.ToLower(name[:i])
		if t.Key() == reflect.TypeFor[HeaderName]() {
			key = strings.ReplaceAll(key, "_", "-")
			if canonical, err := readHeaderName(key); err == nil {
				key = string(canonical)
			}
		}
		if found, typ := resolve(t.Elem(), strings.TrimPrefix(name[i:], "_"), nil, p.with(key)); found != nil {
			return found, typ
		}
	}
	return nil, nil
}

// cutName takes the first part of a variable's name off.
func cutName(name, first string) (rest string, ok bool) {
	if first == "" || !strings.HasPrefix(name, first) {
		return "", false
	}
	rest = name[len(first):]
	if rest == "" {
		return "", true
	}
	rest, ok = strings.CutPrefix(rest, "_")
	return rest, ok && rest != ""
}

// variableName is how a key is written in the name of a variable.
func variableName(key string) string {
	return strings.ToUpper(strings.ReplaceAll(HeaderName(key).folded(), "-", "_"))
}
