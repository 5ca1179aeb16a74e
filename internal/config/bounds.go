package config

import (
	"reflect"
	"slices"
	"strconv"
	"time"
)

// bounds holds what a field's tags say against its value.
func (d *decoder) bounds(f field, n *node, v reflect.Value, p path) {
	if !d.reports.clean(p) {
		return
	}
	empty := v.IsZero() || (v.Kind() == reflect.Slice || v.Kind() == reflect.Map) && v.Len() == 0
	switch {
	case v.CanInt():
		if want := f.outside(v.Int()); want != "" {
			d.reports.add(n.at, p, "want %s", want)
		}
	case len(f.enum) > 0 && !slices.Contains(f.enum, v.String()):
		d.reports.add(n.at, p, "want %s%s", oneOf(f.enum, "or"), didYouMean(v.String(), f.enum))
	case v.Kind() == reflect.String && empty:
		d.reports.add(n.at, p, "empty; leave it out for its default, or give a value")
	case f.required && empty:
		d.reports.add(n.at, p, "empty; want at least one")
	}
}

// outside returns what is wanted of a number or time that is outside of its
// bounds, or "".
func (f field) outside(value int64) string {
	low, hasLow := f.bound(f.min)
	high, hasHigh := f.bound(f.max)
	switch {
	case value == 0 && f.zero:
		return ""
	case hasLow && hasHigh && (value < low || value > high):
		return "at least " + f.min + " and at most " + f.max
	case hasLow && value < low && f.zero:
		return "at least " + f.min + ", or " + f.none()
	case hasLow && value < low:
		return "at least " + f.min
	case hasHigh && value > high:
		return "at most " + f.max
	case value < 0 && f.zero:
		return f.none() + " or more"
	case value <= 0:
		return "more than 0"
	}
	return ""
}

// bound reads a bound of the field, if it has it.
func (f field) bound(text string) (value int64, ok bool) {
	if f.typ == reflect.TypeFor[time.Duration]() {
		d, err := time.ParseDuration(text)
		return int64(d), err == nil
	}
	n, err := strconv.ParseInt(text, 10, 32)
	return n, err == nil
}

// none is how a zero is written.
func (f field) none() string {
	if f.typ == reflect.TypeFor[time.Duration]() {
		return "0s"
	}
	return "0"
}
