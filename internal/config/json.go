package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"time"
)

// FromJSON reads an object of JSON as the section T, or a map of sections: the
// same keys, bounds and defaults as in the file. It is for sections without
// secrets and names of files. Its error says all that is wrong, each with the path
// below name.
func FromJSON[T any](name string, object []byte) (T, error) {
	var section T
	d := json.NewDecoder(bytes.NewReader(object))
	d.UseNumber()
	root, err := nodeOf(d)
	if _, end := d.Token(); err != nil || !errors.Is(end, io.EOF) {
		return section, fmt.Errorf("%s: not valid JSON", name)
	}
	reports := new(report)
	(&decoder{reports: reports}).decode(root, reflect.ValueOf(&section).Elem(), path{name})
	var problems []string
	for _, f := range reports.found {
		problems = append(problems, printable(f.path.String())+": "+f.text)
	}
	if len(problems) > 0 {
		return section, errors.New(strings.Join(problems, "; "))
	}
	return section, nil
}

// nodeOf reads the next value.
func nodeOf(d *json.Decoder) (*node, error) {
	tok, err := d.Token()
	if err != nil {
		return nil, err
	}
	n := &node{at: place{in: &source{variable: true}}}
	switch tok := tok.(type) {
	case nil:
	case bool:
		n.kind, n.text = boolean, fmt.Sprint(tok)
	case json.Number:
		n.kind, n.text = number, tok.String()
	case string:
		n.kind, n.text = text, tok
	case json.Delim:
		n.kind = list
		if tok == '{' {
			n.kind = mapping
		}
		for d.More() {
			if err := n.read(d); err != nil {
				return nil, err
			}
		}
		_, err = d.Token() // What ends it.
	}
	return n, err
}

// read reads the next item or member of n.
func (n *node) read(d *json.Decoder) error {
	var key string
	if n.kind == mapping {
		tok, err := d.Token()
		if err != nil {
			return err
		}
		key, _ = tok.(string) // Nothing else gets through the decoder.
	}
	value, err := nodeOf(d)
	if n.kind == mapping {
		n.members = append(n.members, member{key, n.at, value})
	} else {
		n.items = append(n.items, value)
	}
	return err
}

// ToJSON is what FromJSON reads as this section, which is a struct, or a map of
// such: with each key, those that have their default too.
func ToJSON(section any) any {
	v := reflect.Indirect(reflect.ValueOf(section))
	if !v.IsValid() {
		return map[string]any{}
	}
	out := make(map[string]any)
	switch v.Kind() {
	case reflect.Map:
		for _, key := range v.MapKeys() {
			out[key.String()] = ToJSON(v.MapIndex(key).Interface())
		}
	case reflect.Struct:
		for _, f := range fieldsOf(v.Type()) {
			out[f.key] = ToJSON(v.Field(f.index).Interface())
		}
	default:
		if d, ok := v.Interface().(time.Duration); ok {
			return d.String()
		}
		return v.Interface()
	}
	return out
}
