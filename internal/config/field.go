package config

import (
	"reflect"
	"slices"
	"strings"
)

// A field is a key of a section, as its struct's tags describe it.
type field struct {
	key      string
	index    int
	typ      reflect.Type
	fallback string // The default as it would be written, if it has one.
	min, max string // The least and the most, as they would be written. A zero that may be is let pass.
	enum     []string
	beside   []string // The keys of the same section without one of which it has no meaning.
	required bool
	zero     bool // A number or time may be 0.
}

// fieldsOf lists the keys of a section, in the order of the struct.
func fieldsOf(section reflect.Type) []field {
	list := make([]field, 0, section.NumField())
	for i := range section.NumField() {
		f := section.Field(i)
		rules := strings.Split(f.Tag.Get("rule"), ",")
		one := field{
			key: f.Tag.Get("yaml"), index: i, typ: f.Type, fallback: f.Tag.Get("default"),
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			required: slices.Contains(rules, "required"),
			zero:     slices.Contains(rules, "zero"),
		}
		if enum := f.Tag.Get("enum"); enum != "" {
			one.enum = strings.Split(enum, ",")
		}
		if beside := f.Tag.Get("beside"); beside != "" {
			one.beside = strings.Split(beside, ",")
		}
		list = append(list, one)
	}
	return list
}

// choices are the sections of which exactly one key is given, those apart that
// are beside one, and what such a section is called.
var choices = map[reflect.Type]string{
	reflect.TypeFor[Engine]():       "an engine",
	reflect.TypeFor[Verifier]():     "a verifier",
	reflect.TypeFor[Carrier]():      "a carrier",
	reflect.TypeFor[SecretSource](): "a secret",
}

// keysOf are the keys of a section.
func keysOf(section reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(section) {
		keys = append(keys, f.key)
	}
	return keys
}

// choicesOf are the keys of which a section has exactly one.
func choicesOf(section reflect.Type) []string {
	var keys []string
	for _, f := range fieldsOf(section) {
		if len(f.beside) == 0 {
			keys = append(keys, f.key)
		}
	}
	return keys
}

// isSection reports whether t is written as a mapping with known keys.
func isSection(t reflect.Type) bool {
	_, text := readers[t]
	return t.Kind() == reflect.Struct && !text
}

// elem returns what t points to, or t.
func elem(t reflect.Type) reflect.Type {
	if t.Kind() == reflect.Pointer {
		return t.Elem()
	}
	return t
}
