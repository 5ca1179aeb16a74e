package ably

import (
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// integer reads a whole number: of any width, as a float, or in a string, since
// numbers that went through a URL come as text. null is 0.
func (d *decoder) integer() int64 {
	switch d.kind() {
	case kindNumber:
		return d.readInteger()
	case kindText:
		s := d.readText(BadRequest)
		n, ok := parseInteger(s)
		if !ok {
			d.refuse(BadRequest, "want a number, got %q", clip(s))
		}
		return n
	case kindNull:
	default:
		d.refuse(BadRequest, "want a number, got another value")
	}
	d.skip()
	return 0
}

func (d *decoder) readInteger() int64 {
	b := d.number()
	n, ok := parseInteger(string(b))
	if !ok && d.err == nil {
		d.refuse(BadRequest, "want a whole number, got %s", clip(string(b)))
	}
	return n
}

// number reads a number as JSON has it. It lasts until the next read.
func (d *decoder) number() []byte {
	if d.format == JSON {
		return d.numeral()
	}
	b := d.scratch[:0]
	switch msgp.NextType(d.b) {
	case msgp.IntType:
		n, rest, err := msgp.ReadInt64Bytes(d.b)
		d.advance(rest, err)
		return strconv.AppendInt(b, n, 10)
	case msgp.UintType:
		n, rest, err := msgp.ReadUint64Bytes(d.b)
		d.advance(rest, err)
		return strconv.AppendUint(b, n, 10)
	}
	n, rest, err := msgp.ReadFloat64Bytes(d.b)
	d.advance(rest, err)
	return strconv.AppendFloat(b, n, 'g', -1, 64)
}

// parseInteger reads a decimal number that is whole, whatever its form, and that
// an int64 holds.
func parseInteger(s string) (n int64, ok bool) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return n, true
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) >= 1<<63 {
		return 0, false
	}
	return int64(f), true
}
