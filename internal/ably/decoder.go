package ably

import (
	"bytes"
	"errors"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/tinylib/msgp/msgp"
)

const (
	// maxDepth bounds how deep values are nested that are kept.
	maxDepth = 32
	// maxMembers bounds the lists and tables that are kept, but for messages.
	maxMembers = 1024
)

// A kind is what a value on the wire is.
type kind uint8

const (
	kindNothing kind = iota // The input is over or broken.
	kindNull
	kindBool
	kindNumber
	kindText
	kindBinary // Of msgpack only.
	kindList
	kindTable
	kindOther // An extension of msgpack.
)

// The kinds of values by their first byte.
var (
	kindsOfJSON = func() (kinds [256]kind) {
		for _, c := range "-0123456789" {
			kinds[c] = kindNumber
		}
		kinds['n'], kinds['t'], kinds['f'] = kindNull, kindBool, kindBool
		kinds['"'], kinds['['], kinds['{'] = kindText, kindList, kindTable
		return kinds
	}()
	kindsOfMsgpack = func() (kinds [256]kind) {
		for c := range kinds {
			kinds[c] = kindOfMsgpack(msgp.NextType([]byte{byte(c)}))
		}
		return kinds
	}()
)

func kindOfMsgpack(t msgp.Type) kind {
	switch t {
	case msgp.NilType:
		return kindNull
	case msgp.BoolType:
		return kindBool
	case msgp.IntType, msgp.UintType, msgp.Float32Type, msgp.Float64Type:
		return kindNumber
	case msgp.StrType:
		return kindText
	case msgp.BinType:
		return kindBinary
	case msgp.ArrayType:
		return kindList
	case msgp.MapType:
		return kindTable
	case msgp.InvalidType:
		return kindNothing
	}
	return kindOther
}

// A decoder reads one value after the other, in either format. After its first
// error everything it reads is empty. What it reads is a copy of the input, but
// for what it says is none.
type decoder struct {
	format  Format
	b       []byte // JSON: all there is. Msgpack: what is left.
	at      int    // JSON: how much of it was read.
	mangled bool   // JSON: it is no UTF-8.
	depth   int
	err     error
	// problem is the first thing that could be read and makes no sense.
	problem *ErrorInfo

	// scratch is for numbers of msgpack: the longest is a float64 of 24 digits.
	scratch [32]byte
	// room is for text that means something else than what is written, and ends
	// for the brackets of what is passed over.
	room, ends []byte
}

// maxRoom bounds the room that a decoder has when it is given back.
const maxRoom = 64 << 10

var decoders = sync.Pool{New: func() any { return new(decoder) }}

func newDecoder(f Format, b []byte) *decoder {
	d, _ := decoders.Get().(*decoder)
	d.format, d.b = f, b
	if f == JSON && !utf8.Valid(b) {
		d.mangled = true
		d.refuse(BadRequest, notUTF8)
	}
	return d
}

// release gives the decoder back, without what it has read.
func (d *decoder) release() {
	room, ends := d.room[:0], d.ends[:0]
	if cap(room) > maxRoom {
		room = nil
	}
	*d = decoder{room: room, ends: ends}
	decoders.Put(d)
}

// end reports what was wrong, if only that there is more input, or a problem
// that nobody has taken.
func (d *decoder) end() error {
	if errors.Is(d.err, errMalformed) {
		d.err = explain(d.b)
	}
	if d.err != nil {
		return Errorf(BadRequest, "malformed %s: %v", d.format, d.err)
	}
	if d.format == JSON {
		d.next()
	}
	if d.at < len(d.b) {
		return Errorf(BadRequest, "malformed %s: more after the end", d.format)
	}
	if d.problem != nil {
		return d.problem
	}
	return nil
}

func (d *decoder) fail(err error) {
	if d.err == nil {
		d.err = err
	}
}

// refuse notes a problem with what was read.
func (d *decoder) refuse(c Code, format string, args ...any) {
	if d.problem == nil {
		d.problem = Errorf(c, format, args...)
	}
}

// take returns the problem with what was read since the last take.
func (d *decoder) take() *ErrorInfo {
	p := d.problem
	d.problem = nil
	return p
}

// kind looks at the next value.
func (d *decoder) kind() kind {
	switch {
	case d.err != nil:
		return kindNothing
	case d.format == JSON:
		return kindsOfJSON[d.next()]
	case len(d.b) == 0:
		return kindNothing
	}
	return kindsOfMsgpack[d.b[0]]
}

// text reads a string. null is empty; anything else is a problem.
func (d *decoder) text() string { return string(d.bytes()) }

// bytes is text for who makes a copy: they last until release.
func (d *decoder) bytes() []byte {
	switch k := d.kind(); k {
	case kindText:
		return d.readBytes(BadRequest)
	case kindNull:
	default:
		d.refuse(BadRequest, "want a string, got another value")
	}
	d.skip()
	return nil
}

// notUTF8 is what is wrong with text that would not arrive as it was sent.
const notUTF8 = "text that is not UTF-8"

// readText reads a string. One that is broken is a problem of the code.
func (d *decoder) readText(broken Code) string { return string(d.readBytes(broken)) }

// readBytes is readText for who makes a copy: they last until release.
func (d *decoder) readBytes(broken Code) []byte {
	if d.format == JSON {
		return d.string()
	}
	s, rest, err := msgp.ReadStringZC(d.b)
	d.advance(rest, err)
	if !utf8.Valid(s) {
		d.refuse(broken, notUTF8)
		s = bytes.ToValidUTF8(s, []byte("\uFFFD"))
	}
	return s
}

// boolean reads a truth value. null is false.
func (d *decoder) boolean() bool {
	switch d.kind() {
	case kindBool:
		if d.format == Msgpack {
			v, rest, err := msgp.ReadBoolBytes(d.b)
			d.advance(rest, err)
			return v
		}
		v := d.next() == 't'
		d.skip()
		return v && d.err == nil
	case kindNull:
	default:
		d.refuse(BadRequest, "want true or false, got another value")
	}
	d.skip()
	return false
}

// members iterates over the names of a table, which last until release. The body
// reads the value that goes with each. null has no members; anything else is a problem.
func (d *decoder) members(yield func(name []byte) bool) {
	if k := d.kind(); k != kindTable {
		if k != kindNull {
			d.refuse(BadRequest, "want an object, got another value")
		}
		d.skip()
		return
	}
	if !d.enter() {
		return
	}
	if d.format == Msgpack {
		n, rest, err := msgp.ReadMapHeaderBytes(d.b)
		d.advance(rest, err)
		for ; n > 0 && d.err == nil; n-- {
			if d.kind() != kindText { // No name of ours.
				d.skip()
				d.skip()
			} else if name := d.readBytes(BadRequest); d.err == nil && !yield(name) {
				return
			}
		}
	} else {
		d.membersJSON(yield)
	}
	d.depth--
}

// elements iterates over a list. The body reads each element. null has none;
// anything else is a problem.
func (d *decoder) elements(yield func() bool) {
	if k := d.kind(); k != kindList {
		if k != kindNull {
			d.refuse(BadRequest, "want a list, got another value")
		}
		d.skip()
		return
	}
	if !d.enter() {
		return
	}
	if d.format == Msgpack {
		n, rest, err := msgp.ReadArrayHeaderBytes(d.b)
		d.advance(rest, err)
		for ; n > 0 && d.err == nil; n-- {
			if !yield() {
				return
			}
		}
	} else {
		d.elementsJSON(yield)
	}
	d.depth--
}

// enter goes into a list or table. What is nested too deeply is passed over, and
// is a problem.
func (d *decoder) enter() bool {
	if d.depth == maxDepth {
		d.refuse(BadRequest, "nested more than %d deep", maxDepth)
		d.skip()
		return false
	}
	d.depth++
	return true
}

func (d *decoder) advance(rest []byte, err error) {
	if err != nil {
		d.fail(err)
		return
	}
	d.b = rest
}

// clip shortens what is told back to whoever sent it.
func clip(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
