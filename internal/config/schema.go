package config

import (
	"cmp"
	"embed"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"net/netip"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// The comments of the keys are in these files, and nowhere else.
//
//go:embed config.go engine.go issuer.go login.go verifier.go route.go carrier.go hub.go
var commented embed.FS

// Schema returns the JSON Schema (draft 2020-12) of usher.yaml, for editors to
// complete and check by. It has the keys that this version takes, their
// defaults, and the comments of this package as descriptions. What it cannot
// say, such as that a verifier's name must exist, Load checks.
func Schema() ([]byte, error) {
	comments, err := readComments()
	if err != nil {
		return nil, err
	}
	r := &jsonschema.Reflector{
		FieldNameTag: "yaml", Anonymous: true, ExpandedStruct: true,
		RequiredFromJSONSchemaTags: true,
		Mapper:                     textSchema,
		LookupComment: func(t reflect.Type, name string) string {
			return comments[strings.TrimSuffix(t.Name()+"."+name, ".")]
		},
	}
	s := r.ReflectFromType(reflect.TypeFor[Config]())
	s.Title = "usher.yaml"
	for _, section := range sections(reflect.TypeFor[Config](), nil) {
		def := s
		if section != reflect.TypeFor[Config]() {
			def = s.Definitions[section.Name()]
		}
		if def == nil {
			return nil, fmt.Errorf("make schema: no definition of %s", section.Name())
		}
		describe(def, section)
	}
	text, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("encode schema: %w", err)
	}
	return append(text, '\n'), nil
}

// describe adds what the tags of a section say.
func describe(def *jsonschema.Schema, section reflect.Type) {
	def.Required = nil
	for _, f := range fieldsOf(section) {
		p, ok := def.Properties.Get(f.key)
		if !ok {
			continue
		}
		if f.required {
			def.Required = append(def.Required, f.key)
		}
		p.Default = defaultOf(f)
		for _, word := range f.enum {
			p.Enum = append(p.Enum, word)
		}
		one := uint64(1)
		switch elem(f.typ).Kind() {
		case reflect.Int:
			p.Minimum = json.Number(cmp.Or(f.min, "1"))
			if f.zero {
				p.Minimum = "0"
			}
			p.Maximum = json.Number(f.max)
		case reflect.Slice:
			if f.required && p.Type == "array" {
				p.MinItems = &one
			}
		}
	}
	if _, choice := choices[section]; choice {
		choose(def, section)
	}
}

// choose says that exactly one key of a section is given, and which one others
// are beside.
func choose(def *jsonschema.Schema, section reflect.Type) {
	one, whole := uint64(1), true
	for _, f := range fieldsOf(section) {
		if len(f.beside) == 0 {
			continue
		}
		whole = false
		if len(f.beside) > 1 {
			if def.DependentSchemas == nil {
				def.DependentSchemas = make(map[string]*jsonschema.Schema)
			}
			either := &jsonschema.Schema{}
			for _, key := range f.beside {
				either.AnyOf = append(either.AnyOf, &jsonschema.Schema{Required: []string{key}})
			}
			def.DependentSchemas[f.key] = either
			continue
		}
		if def.DependentRequired == nil {
			def.DependentRequired = make(map[string][]string)
		}
		def.DependentRequired[f.key] = f.beside
	}
	if whole {
		def.MinProperties, def.MaxProperties = &one, &one
		return
	}
	for _, key := range choicesOf(section) {
		def.OneOf = append(def.OneOf, &jsonschema.Schema{Required: []string{key}})
	}
}

// defaultOf returns the default of a key as JSON has it, or nil.
func defaultOf(f field) any {
	if f.fallback == "" || isSection(elem(f.typ)) {
		return nil // That of a section is in its description.
	}
	switch f.typ.Kind() {
	case reflect.Bool:
		return f.fallback == "true"
	case reflect.Int:
		if n, err := strconv.Atoi(f.fallback); err == nil {
			return n
		}
	}
	return f.fallback
}

// textSchema is the schema of a type that is written as one text.
func textSchema(t reflect.Type) *jsonschema.Schema {
	switch elem(t) {
	case reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{
			Type: "string", Pattern: `^([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h)(([0-9]+(\.[0-9]*)?|\.[0-9]+)(ns|us|µs|ms|s|m|h))*$`,
			Examples: []any{"500ms", "10s"},
		}
	case reflect.TypeFor[netip.Prefix]():
		return &jsonschema.Schema{Type: "string", Examples: []any{"10.0.0.0/8"}}
	case reflect.TypeFor[Upstreams]():
		one := uint64(1)
		url := &jsonschema.Schema{Type: "string", Pattern: `^(wss?|ws\+unix)://`}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{url, {Type: "array", Items: url, MinItems: &one}}}
	case reflect.TypeFor[Servers]():
		one := uint64(1)
		const host = `([^\s,@/?#]+)`
		all := &jsonschema.Schema{Type: "string", Pattern: `^(nats|tls)://` + host + `(,((nats|tls)://)?` + host + `)*$`}
		each := &jsonschema.Schema{Type: "string", Pattern: `^(nats|tls)://` + host + `$`}
		return &jsonschema.Schema{AnyOf: []*jsonschema.Schema{all, {Type: "array", Items: each, MinItems: &one}}}
	case reflect.TypeFor[Address](), reflect.TypeFor[File](), reflect.TypeFor[Dir](), reflect.TypeFor[HeaderName]():
		return &jsonschema.Schema{Type: "string", Pattern: "."}
	case reflect.TypeFor[URL]():
		return &jsonschema.Schema{Type: "string", Format: "uri", Pattern: "^https?://"}
	}
	return nil
}

// sections lists t and the sections that it leads to, each once.
func sections(t reflect.Type, list []reflect.Type) []reflect.Type {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		return sections(t.Elem(), list)
	case reflect.Struct:
	default:
		return list
	}
	if !isSection(t) {
		return list
	}
	for _, have := range list {
		if have == t {
			return list
		}
	}
	list = append(list, t)
	for _, f := range fieldsOf(t) {
		list = sections(f.typ, list)
	}
	return list
}

// readComments returns the comments of types ("Route") and of their fields
// ("Route.Path"), each as one line.
func readComments() (map[string]string, error) {
	entries, err := commented.ReadDir(".")
	if err != nil {
		return nil, fmt.Errorf("list comments: %w", err)
	}
	comments := make(map[string]string)
	for _, entry := range entries {
		text, err := commented.ReadFile(entry.Name())
		if err != nil {
			return nil, fmt.Errorf("read comments: %w", err)
		}
		tree, err := parser.ParseFile(token.NewFileSet(), entry.Name(), text, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, fmt.Errorf("parse comments: %w", err)
		}
		for _, decl := range tree.Decls {
			if d, ok := decl.(*ast.GenDecl); ok && d.Tok == token.TYPE {
				commentsOf(d, comments)
			}
		}
	}
	return comments, nil
}

func commentsOf(d *ast.GenDecl, comments map[string]string) {
	for _, spec := range d.Specs {
		s, ok := spec.(*ast.TypeSpec)
		if !ok {
			continue
		}
		comments[s.Name.Name] = oneLine(d.Doc)
		if section, ok := s.Type.(*ast.StructType); ok {
			for _, f := range section.Fields.List {
				for _, name := range f.Names {
					comments[s.Name.Name+"."+name.Name] = oneLine(f.Doc)
				}
			}
		}
	}
}

// oneLine joins the first paragraph of a comment.
func oneLine(c *ast.CommentGroup) string {
	first, _, _ := strings.Cut(c.Text(), "\n\n")
	return strings.Join(strings.Fields(first), " ")
}
