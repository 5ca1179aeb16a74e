package ably

import (
	"encoding/base64"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	"github.com/tinylib/msgp/msgp"
)

// skip passes over the next value, whatever it is and however deep: what nobody
// looks at may be anything. It does not recurse.
func (d *decoder) skip() {
	switch {
	case d.err != nil:
	case d.format == Msgpack:
		d.skipMsgpack()
	default:
		d.skipJSON()
	}
}

func (d *decoder) skipMsgpack() {
	for left := int64(1); left > 0 && d.err == nil; left-- {
		switch d.kind() {
		case kindList:
			n, rest, err := msgp.ReadArrayHeaderBytes(d.b)
			d.advance(rest, err)
			left += int64(n)
		case kindTable:
			n, rest, err := msgp.ReadMapHeaderBytes(d.b)
			d.advance(rest, err)
			left += 2 * int64(n)
		default:
			rest, err := msgp.Skip(d.b)
			d.advance(rest, err)
		}
	}
}

// raw reads any value as the JSON that it is, without spaces. Bytes, which JSON
// does not have, become base64. null is empty.
func (d *decoder) raw() string {
	if d.kind() == kindNull {
		d.skip()
		return ""
	}
	text := d.appendRaw(nil)
	if d.err != nil {
		return ""
	}
	return string(text)
}

func (d *decoder) appendRaw(b []byte) []byte {
	switch d.kind() {
	case kindBool:
		return strconv.AppendBool(b, d.boolean())
	case kindNumber:
		n := d.number()
		if f, err := strconv.ParseFloat(string(n), 64); err == nil && (math.IsNaN(f) || math.IsInf(f, 0)) {
			return append(b, "null"...) // As JSON.stringify has them.
		}
		return append(b, n...)
	case kindText:
		return appendQuoted(b, d.readBytes(BadRequest))
	case kindBinary:
		return appendQuoted(b, base64.StdEncoding.EncodeToString(d.binary()))
	case kindList:
		b = append(b, '[')
		for range d.elements {
			b = d.appendRaw(separated(b))
		}
		return append(b, ']')
	case kindTable:
		b = append(b, '{')
		for name := range d.members {
			b = append(appendQuoted(separated(b), name), ':')
			b = d.appendRaw(b)
		}
		return append(b, '}')
	}
	d.skip()
	return append(b, "null"...)
}

// binary reads bytes of msgpack.
func (d *decoder) binary() []byte {
	v, rest, err := msgp.ReadBytesZC(d.b)
	d.advance(rest, err)
	return v
}

// separated appends the comma that JSON wants before all but the first.
func separated(b []byte) []byte {
	if last := b[len(b)-1]; last == '{' || last == '[' {
		return b
	}
	return append(b, ',')
}

// appendQuoted appends s as JSON has it.
func appendQuoted[T []byte | string](b []byte, s T) []byte {
	n := len(b) + 1
	b = append(append(append(b, '"'), s...), '"')
	at := n + plainUpTo(b[n:], false)
	if rest := b[at:]; len(rest) == 1 || plainUpTo(rest, true) == len(rest)-1 && utf8.Valid(rest) {
		return b
	}
	b, _ = jsontext.AppendQuote(b[:n-1], s) // Its error is about broken text, which becomes U+FFFD.
	return b
}
