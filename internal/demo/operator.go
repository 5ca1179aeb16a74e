package demo

import (
	"context"
	"log/slog"

	"github.com/usher-ws/usher"
)

// An operatorLog shows log records on the page, exactly as an operator would
// have them in a file. It is a slog.Handler.
type operatorLog struct {
	ring     *ring
	recorder *recorder
	attrs    []field
	prefix   string
}

// Enabled is true for every level: the page shows debug records too.
func (*operatorLog) Enabled(context.Context, slog.Level) bool { return true }

// Handle adds the record to the events.
func (o *operatorLog) Handle(ctx context.Context, r slog.Record) error {
	e := event{Try: tryOf(ctx), Kind: "log", Level: r.Level.String(), Line: r.Message}
	e.Fields = append(e.Fields, o.attrs...)
	r.Attrs(func(a slog.Attr) bool {
		e.Fields = appendAttr(e.Fields, o.prefix, a)
		return true
	})
	for _, f := range e.Fields {
		if e.Try == "" && f.Name == "route" {
			e.Try = o.recorder.runningOn(f.Value, r.Message == string(usher.Ended))
		}
	}
	o.ring.add(e)
	return nil
}

// WithAttrs returns a handler whose records have attrs too.
func (o *operatorLog) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *o
	with.attrs = append([]field(nil), o.attrs...)
	for _, a := range attrs {
		with.attrs = appendAttr(with.attrs, o.prefix, a)
	}
	return &with
}

// WithGroup returns a handler whose attributes are named inside a group.
func (o *operatorLog) WithGroup(name string) slog.Handler {
	if name == "" {
		return o
	}
	with := *o
	with.prefix += name + "."
	return &with
}

func appendAttr(fields []field, prefix string, a slog.Attr) []field {
	value := a.Value.Resolve()
	if value.Kind() != slog.KindGroup {
		return append(fields, field{prefix + a.Key, value.String()})
	}
	if a.Key != "" {
		prefix += a.Key + "."
	}
	for _, member := range value.Group() {
		fields = appendAttr(fields, prefix, member)
	}
	return fields
}
