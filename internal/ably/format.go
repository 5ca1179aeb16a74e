package ably

import "strings"

// A Format is an encoding of the wire.
type Format uint8

// The formats. Text frames of a WebSocket are JSON, binary ones msgpack.
const (
	JSON Format = iota
	Msgpack
)

// String returns the name that the query parameter "format" has for it.
func (f Format) String() string {
	if f == Msgpack {
		return "msgpack"
	}
	return "json"
}

// ContentType is the media type, as the SDKs compare it: without parameters.
func (f Format) ContentType() string {
	if f == Msgpack {
		return "application/x-msgpack"
	}
	return "application/json"
}

// ParseFormat reads the query parameter "format".
func ParseFormat(s string) (f Format, ok bool) {
	switch s {
	case "json":
		return JSON, true
	case "msgpack":
		return Msgpack, true
	}
	return JSON, false
}

// FormatOf returns the format that a media type names, which may have
// parameters. Media types are compared without case (RFC 9110 §8.3.1).
func FormatOf(mediaType string) (f Format, ok bool) {
	name, _, _ := strings.Cut(mediaType, ";")
	switch strings.ToLower(strings.TrimSpace(name)) {
	case "application/json":
		return JSON, true
	case "application/x-msgpack", "application/msgpack":
		return Msgpack, true
	}
	return JSON, false
}

// A Value is a word of the wire that can be read and written in both formats.
type Value interface {
	decode(d *decoder)
	encode(e *encoder)
}

// Decode reads into v, which is zero or was reset, the one value that b holds. What it
// returns is an *ErrorInfo of code BadRequest: b is no such value, or goes on
// after it, or is nested too deeply. v holds nothing of b.
func Decode(f Format, b []byte, v Value) error {
	d := newDecoder(f, b)
	defer d.release()
	v.decode(d)
	return d.end()
}

// Append appends v to b.
func Append(b []byte, f Format, v Value) []byte {
	e := newEncoder(b, f)
	v.encode(e)
	return e.release()
}
