package ably

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
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

// A decoder reads one value after the other, in either format. After its first
// error everything it reads is empty. What it reads is a copy of the input.
type decoder struct {
	format Format
	b      []byte // Msgpack: what is left.
	json   *jsontext.Decoder
	input  bytes.Buffer // Of json.
	depth  int
	err    error
	// scratch is for numbers of msgpack: the longest is a float64 of 24 digits.
	scratch [32]byte
	// problem is the first thing that could be read and makes no sense.
	problem *ErrorInfo
}

var decoders = sync.Pool{New: func() any {
	return &decoder{json: jsontext.NewDecoder(new(bytes.Buffer))}
}}

func newDecoder(f Format, b []byte) *decoder {
	d, _ := decoders.Get().(*decoder)
	d.format = f
	if f == Msgpack {
		d.b = b
		return d
	}
	d.input = *bytes.NewBuffer(b)
	if !utf8.Valid(b) {
		d.refuse(BadRequest, notUTF8)
	}
	// Neither option loosens what anybody decides by: of two members of a name
	// the last counts, and half a surrogate pair, which JavaScript can write as an
	// escape, becomes U+FFFD, as in browsers.
	d.json.Reset(&d.input, jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	return d
}

// release gives the decoder back, without what it has read.
func (d *decoder) release() {
	js := d.json
	*d = decoder{json: js}
	js.Reset(&d.input)
	decoders.Put(d)
}

// end reports what was wrong, if only that there is more input, or a problem
// that nobody has taken.
func (d *decoder) end() error {
	if d.err != nil {
		return Errorf(BadRequest, "malformed %s: %v", d.format, d.err)
	}
	over := len(d.b) == 0
	if d.format == JSON {
		_, err := d.json.ReadToken()
		over = errors.Is(err, io.EOF)
	}
	if !over {
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
	case d.format == Msgpack:
		return d.kindMsgpack()
	}
	return d.kindJSON()
}

func (d *decoder) kindJSON() kind {
	switch d.json.PeekKind() {
	case 'n':
		return kindNull
	case 't', 'f':
		return kindBool
	case '0':
		return kindNumber
	case '"':
		return kindText
	case '[':
		return kindList
	case '{':
		return kindTable
	}
	return kindNothing
}

func (d *decoder) kindMsgpack() kind {
	if len(d.b) == 0 {
		return kindNothing
	}
	switch msgp.NextType(d.b) {
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

// text reads a string. null is empty; anything else is a problem.
func (d *decoder) text() string {
	switch k := d.kind(); k {
	case kindText:
		return d.readText(BadRequest)
	case kindNull:
	default:
		d.refuse(BadRequest, "want a string, got another value")
	}
	d.skip()
	return ""
}

// notUTF8 is what is wrong with text that would not arrive as it was sent.
const notUTF8 = "text that is not UTF-8"

// readText reads a string. One that is broken is a problem of the code.
func (d *decoder) readText(broken Code) string {
	if d.format == Msgpack {
		s, rest, err := msgp.ReadStringBytes(d.b)
		d.advance(rest, err)
		if !utf8.ValidString(s) {
			d.refuse(broken, notUTF8)
		}
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	tok, err := d.json.ReadToken()
	if err != nil {
		d.fail(err)
		return ""
	}
	return tok.String()
}

// word is text for strings of which there are few, such as the names of members.
func (d *decoder) readWord() string {
	var raw []byte
	if d.format == Msgpack {
		var err error
		var rest []byte
		raw, rest, err = msgp.ReadStringZC(d.b)
		d.advance(rest, err)
	} else {
		v, err := d.json.ReadValue()
		if err != nil {
			d.fail(err)
			return ""
		}
		if bytes.IndexByte(v, '\\') >= 0 {
			s, _ := jsontext.AppendUnquote(nil, v)
			return string(s)
		}
		raw = v[1 : len(v)-1]
	}
	if w, ok := words[string(raw)]; ok {
		return w
	}
	if !utf8.Valid(raw) {
		d.refuse(BadRequest, notUTF8)
	}
	return strings.ToValidUTF8(string(raw), "\uFFFD")
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
		tok, err := d.json.ReadToken()
		if err != nil {
			d.fail(err)
			return false
		}
		return tok.Bool()
	case kindNull:
	default:
		d.refuse(BadRequest, "want true or false, got another value")
	}
	d.skip()
	return false
}

// members iterates over the names of a table. The body reads the value that goes
// with each. null has no members; anything else is a problem.
func (d *decoder) members(yield func(name string) bool) {
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
			} else if name := d.readWord(); d.err == nil && !yield(name) {
				return
			}
		}
	} else {
		d.token()
		for d.err == nil && d.json.PeekKind() == '"' {
			if name := d.readWord(); d.err == nil && !yield(name) {
				return
			}
		}
		d.token()
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
		d.token()
		for d.err == nil && d.json.PeekKind() != ']' {
			if !yield() {
				return
			}
		}
		d.token()
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

// token passes over a bracket.
func (d *decoder) token() {
	if d.err == nil {
		if _, err := d.json.ReadToken(); err != nil {
			d.fail(err)
		}
	}
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
