package config_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/usher-ws/usher/internal/config"
)

// A definition is what the schema says of a section.
type definition struct {
	Properties map[string]property `json:"properties"`
	Required   []string            `json:"required"`
	// Order of Properties in the document, which a map forgets.
	order []string
	// OneOf are the keys of which exactly one is given, Beside those that need
	// another one.
	OneOf  []struct{ Required []string } `json:"oneOf"`
	Beside map[string][]string           `json:"dependentRequired"`
	// Additional says whether other keys are allowed.
	Additional *bool  `json:"additionalProperties"`
	About      string `json:"description"`
}

// A property is what it says of a key.
type property struct {
	Ref         string          `json:"$ref"`
	Type        string          `json:"type"`
	Format      string          `json:"format"`
	Pattern     string          `json:"pattern"`
	Description string          `json:"description"`
	Default     json.RawMessage `json:"default"`
	Enum        []string        `json:"enum"`
	Items       *property       `json:"items"`
	AnyOf       []property      `json:"anyOf"`
	Values      *property       `json:"additionalProperties"`
	Minimum     *int            `json:"minimum"`
	Maximum     *int            `json:"maximum"`
}

// UnmarshalJSON also takes the order of the keys.
func (d *definition) UnmarshalJSON(text []byte) error {
	type plain definition
	if err := json.Unmarshal(text, (*plain)(d)); err != nil {
		return err
	}
	var raw struct {
		Properties json.RawMessage `json:"properties"`
	}
	if err := json.Unmarshal(text, &raw); err != nil {
		return err
	}
	dec := json.NewDecoder(strings.NewReader(string(raw.Properties)))
	for depth := 0; ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		key, isText := token.(string)
		switch {
		case token == json.Delim('{') || token == json.Delim('['):
			depth++
		case token == json.Delim('}') || token == json.Delim(']'):
			depth--
		case isText && depth == 1:
			d.order = append(d.order, key)
			var skip json.RawMessage
			if err := dec.Decode(&skip); err != nil {
				return err
			}
		}
	}
}

// schema is the JSON schema, as a tree.
type schema struct {
	definition
	Definitions map[string]definition
}

func readSchema(t *testing.T) schema {
	t.Helper()
	text, err := config.Schema()
	if err != nil {
		t.Fatal(err)
	}
	var s schema
	if err := json.Unmarshal(text, &s.definition); err != nil {
		t.Fatal(err)
	}
	var defs struct {
		Defs map[string]definition `json:"$defs"`
	}
	if err := json.Unmarshal(text, &defs); err != nil {
		t.Fatal(err)
	}
	s.Definitions = defs.Defs
	return s
}

// Every key has a description, every section is closed, every reference leads
// somewhere, and what a description says of the default is what there is.
func TestSchema(t *testing.T) {
	s := readSchema(t)
	all := map[string]definition{"": s.definition}
	for name, d := range s.Definitions {
		all[name] = d
	}
	if len(all) < 15 {
		t.Errorf("got %d sections, want all", len(all))
	}
	for name, d := range all {
		if d.Additional == nil || *d.Additional {
			t.Errorf("%s: other keys are allowed", name)
		}
		if len(d.order) != len(d.Properties) || len(d.order) == 0 {
			t.Errorf("%s: got %d keys in order, want %d", name, len(d.order), len(d.Properties))
		}
		for key, p := range d.Properties {
			where := name + "." + key
			if p.Description == "" {
				t.Errorf("%s: no description", where)
			}
			if ref := strings.TrimPrefix(p.Ref, "#/$defs/"); p.Ref != "" && s.Definitions[ref].order == nil {
				t.Errorf("%s: got the reference %s, which leads nowhere", where, p.Ref)
			}
			if p.Default == nil {
				continue
			}
			said := "Default: " + strings.Trim(string(p.Default), `"`)
			if !strings.HasSuffix(p.Description, said+".") && !strings.Contains(p.Description, said+",") {
				t.Errorf("%s: got %q, want %q in it", where, p.Description, said)
			}
		}
	}
}

// An editor is told which keys of an engine go together, and the bounds of
// numbers.
func TestSchemaEngine(t *testing.T) {
	s := readSchema(t)
	e := s.Definitions["Engine"]
	var one []string
	for _, alternative := range e.OneOf {
		one = append(one, alternative.Required...)
	}
	if want := []string{"data", "nats", "memory"}; !slices.Equal(one, want) {
		t.Errorf("got one of %v, want %v", one, want)
	}
	nats := []string{"nats"}
	want := map[string][]string{"replicas": nats, "credentials": nats, "ca": nats}
	if diff := cmp.Diff(want, e.Beside); diff != "" {
		t.Errorf("keys beside others, -want +got:\n%s", diff)
	}
	bounds := []struct {
		name string
		of   property
		want [2]int // Below 0 where there is none.
	}{
		{"engine.replicas", e.Properties["replicas"], [2]int{1, 5}},
		{"limits.pending", s.Definitions["Limits"].Properties["pending"], [2]int{1, -1}},
		{"limits.max_connections", s.Definitions["Limits"].Properties["max_connections"], [2]int{0, -1}},
	}
	for _, b := range bounds {
		got := [2]int{-1, -1}
		for i, bound := range []*int{b.of.Minimum, b.of.Maximum} {
			if bound != nil {
				got[i] = *bound
			}
		}
		if got != b.want {
			t.Errorf("%s: got the bounds %v, want %v", b.name, got, b.want)
		}
	}
}

// typeOf says in words what a key's value is.
func (p property) typeOf() string {
	switch {
	case p.Ref != "":
		name := strings.TrimPrefix(p.Ref, "#/$defs/")
		return fmt.Sprintf("[%s](#%s)", heading(name), strings.ToLower(heading(name)))
	case len(p.AnyOf) > 0:
		return p.AnyOf[0].typeOf() + ", or a list"
	case len(p.Enum) > 0:
		return "`" + strings.Join(p.Enum, "`, `") + "`"
	case p.Type == "array":
		return "list of " + p.Items.typeOf()
	case p.Type == "object":
		return "map to " + p.Values.typeOf()
	case p.Type == "boolean":
		return "true or false"
	case p.Type == "integer":
		return "number"
	case strings.Contains(p.Pattern, "ms|s|m|h"):
		return "time"
	case p.Format == "uri" || strings.Contains(p.Pattern, "://"):
		return "URL"
	}
	return "text"
}

// heading is the name of a section on the page.
func heading(name string) string {
	words := map[string]string{
		"TLS": "tls", "JWT": "jwt", "SecretSource": "secret", "FirstMessage": "first_message",
		"AppKey": "app_key", "AppLimits": "app_limits",
	}
	if w, ok := words[name]; ok {
		return w
	}
	return strings.ToLower(name)
}

// table describes the keys of a section.
func table(b *strings.Builder, d definition) {
	b.WriteString("| Key | Type | Default | Meaning |\n|---|---|---|---|\n")
	for _, key := range d.order {
		p := d.Properties[key]
		fallback := ""
		switch {
		case slices.Contains(d.Required, key):
			fallback = "required"
		case p.Default != nil:
			fallback = "`" + strings.Trim(string(p.Default), `"`) + "`"
		}
		meaning := p.Description
		if p.Default != nil && strings.HasSuffix(meaning, " Default: "+strings.Trim(string(p.Default), `"`)+".") {
			meaning, _, _ = strings.Cut(meaning, " Default: ")
		}
		fmt.Fprintf(b, "| `%s` | %s | %s | %s |\n", key, p.typeOf(), fallback, strings.ReplaceAll(meaning, "|", "\\|"))
	}
}

const (
	page  = "../../docs/reference/configuration.md"
	begin = "<!-- generated: go test ./internal/config -run TestReference -update -->\n"
	end   = "<!-- end of what is generated -->\n"
)

// The reference page has the keys of the schema, which has those of the types.
func TestReference(t *testing.T) {
	s := readSchema(t)
	var b strings.Builder
	b.WriteString("\n## Keys\n\nThe top level:\n\n")
	table(&b, s.definition)
	names := make([]string, 0, len(s.Definitions))
	for name := range s.Definitions {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(heading(a), heading(b)) })
	for _, name := range names {
		fmt.Fprintf(&b, "\n### %s\n\n%s\n\n", heading(name), s.Definitions[name].About)
		table(&b, s.Definitions[name])
	}
	b.WriteString("\n")

	text, err := os.ReadFile(filepath.FromSlash(page))
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(text), begin)
	got, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s: the marks %q and %q are gone", page, begin, end)
	}
	if got == b.String() {
		return
	}
	if !*update {
		t.Fatalf("%s is not what the schema says; run the command that the page names", page)
	}
	if err := os.WriteFile(filepath.FromSlash(page), []byte(head+begin+b.String()+end+tail), 0o600); err != nil {
		t.Fatal(err)
	}
}

// The page's sample is a configuration.
func TestReferenceSample(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash(page))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(text), "```yaml\n")
	sample, _, ok := strings.Cut(rest, "```")
	if !ok {
		t.Fatalf("%s: got no sample", page)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "usher.yaml")
	for name, content := range map[string]string{
		file: sample, filepath.Join(dir, "secret"): "0123456789abcdef0123456789abcdef", filepath.Join(dir, "users"): "",
	} {
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Routes) != 2 || len(c.Verifiers) != 4 {
		t.Errorf("got %d routes and %d verifiers, want 2 and 4", len(c.Routes), len(c.Verifiers))
	}
}
