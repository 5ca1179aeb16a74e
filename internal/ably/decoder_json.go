package ably

import (
	"bytes"
	"encoding/binary"
	"errors"
	"math/bits"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
)

// JSON is read where it is, by what follows: most of what a hub does is to read
// small frames of it, for which a decoder of streams does too much. It takes what
// jsontext takes, which says what is wrong with the rest; they are held against
// each other by FuzzJSON.
//
// Names may be there twice, and the last counts. Half a surrogate pair, which
// JavaScript can write as an escape, becomes U+FFFD, as in browsers. Neither
// loosens what anybody decides by.

// maxNesting is how deep what is passed over may be, that of jsontext.
const maxNesting = 10000

var errMalformed = errors.New("malformed")

// malformed notes that what comes next cannot be read.
func (d *decoder) malformed() { d.fail(errMalformed) }

// explain says what is wrong with JSON that cannot be read.
func explain(b []byte) error {
	js := jsontext.NewDecoder(bytes.NewBuffer(b), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		if _, err := js.ReadToken(); err != nil {
			return err
		}
	}
}

// next looks at the first byte that is no space. 0 is none.
func (d *decoder) next() byte {
	for ; d.at < len(d.b); d.at++ {
		switch c := d.b[d.at]; c {
		case ' ', '\t', '\r', '\n':
		default:
			return c
		}
	}
	return 0
}

// membersJSON is members of a table that is next.
func (d *decoder) membersJSON(yield func(name []byte) bool) {
	d.at++
	if d.next() == '}' {
		d.at++
		return
	}
	for d.err == nil {
		name := d.string()
		if d.colon(); d.err != nil || !yield(name) || !d.another('}') {
			return
		}
	}
}

// elementsJSON is elements of a list that is next.
func (d *decoder) elementsJSON(yield func() bool) {
	d.at++
	if d.next() == ']' {
		d.at++
		return
	}
	for d.err == nil && yield() && d.another(']') {
	}
}

func (d *decoder) colon() {
	if d.next() != ':' {
		d.malformed()
		return
	}
	d.at++
}

// another passes over what is behind a value in a list or table, and reports
// whether it goes on.
func (d *decoder) another(end byte) bool {
	switch d.next() {
	case end:
		d.at++
		return false
	case ',':
		d.at++
		return true
	}
	d.malformed()
	return false
}

// string reads a string. Most mean what they say, or have short escapes, as the text
// of an object has. The rest is left to jsontext.
func (d *decoder) string() []byte {
	quote := d.next() == '"'
	n, at := len(d.room), d.at+1
	for quote && !d.mangled {
		end := at + plainUpTo(d.b[at:], true)
		if end+1 >= len(d.b) {
			break
		}
		if d.b[end] == '"' {
			inside := d.b[at:end]
			d.at = end + 1
			if len(d.room) == n {
				return inside
			}
			d.room = append(d.room, inside...)
			return d.room[n:len(d.room):len(d.room)]
		}
		short := shortEscapes[d.b[end+1]]
		if d.b[end] != '\\' || short == 0 {
			break
		}
		d.room = append(append(d.room, d.b[at:end]...), short)
		at = end + 2
	}
	return d.unquoted(d.quoted())
}

// shortEscapes are what stands for a byte behind a backslash.
var shortEscapes = [256]byte{'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t'}

// quoted reads a string as it is written, without the quotes. It is plain if it
// means what it says.
func (d *decoder) quoted() (inside []byte, plain bool) {
	if d.next() != '"' {
		d.malformed()
		return nil, true
	}
	from, plain := d.at+1, true
	for i := from; ; {
		i += plainUpTo(d.b[i:], true)
		if i == len(d.b) {
			break
		}
		switch d.b[i] {
		case '"':
			d.at = i + 1
			return d.b[from:i], plain
		case '\\':
			plain = false
			n := escape(d.b[i:])
			if i += n; n == 0 {
				d.malformed()
				return nil, true
			}
		default: // A control character.
			d.malformed()
			return nil, true
		}
	}
	d.malformed()
	return nil, true
}

// unquoted is what a string means, of which quoted has what is written.
func (d *decoder) unquoted(inside []byte, plain bool) []byte {
	if plain && !d.mangled || len(inside) == 0 {
		return inside
	}
	quoted := d.b[d.at-len(inside)-2 : d.at]
	n := len(d.room)
	d.room, _ = jsontext.AppendUnquote(d.room, quoted) // Its error is about half pairs and broken text.
	return d.room[n:len(d.room):len(d.room)]
}

// plainUpTo is how much of b is in a string of JSON what it is outside: up to a
// quote, a backslash or a control character. Where wide is not set, up to what is
// beyond ASCII, too.
func plainUpTo(b []byte, wide bool) (n int) {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	beyond := uint64(highs)
	if wide {
		beyond = 0
	}
	for ; n+8 <= len(b); n += 8 {
		w := binary.LittleEndian.Uint64(b[n:])
		// The lowest bit that is set is that of the first byte below ' ', or that is
		// one of these: what follows it may be wrong.
		stop := ((w - ones*' ') | (w ^ ones*'"' - ones) | (w ^ ones*'\\' - ones)) &^ w & highs
		if stop |= w & beyond; stop != 0 {
			return n + bits.TrailingZeros64(stop)/8
		}
	}
	for ; n < len(b); n++ {
		if c := b[n]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf && !wide {
			break
		}
	}
	return n
}

// escape is how long the escape is that b begins with. 0: it is none.
func escape(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if len(b) < 6 {
			return 0
		}
		for _, c := range b[2:6] {
			if !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'f') {
				return 0
			}
		}
		return 6
	}
	return 0
}

// literal reads null, true or false.
func (d *decoder) literal(word string) {
	if !bytes.HasPrefix(d.b[d.at:], []byte(word)) {
		d.malformed()
		return
	}
	d.at += len(word)
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// digits is where the digits end that there must be from i on.
func (d *decoder) digits(i int) int {
	from := i
	for i < len(d.b) && isDigit(d.b[i]) {
		i++
	}
	if i == from {
		d.malformed()
	}
	return i
}

// numeral reads a number as it is written.
func (d *decoder) numeral() []byte {
	b, i := d.b, d.at
	if b[i] == '-' {
		i++
	}
	if i < len(b) && b[i] == '0' {
		i++
	} else {
		i = d.digits(i)
	}
	if i < len(b) && b[i] == '.' {
		i = d.digits(i + 1)
	}
	if i < len(b) && b[i]|0x20 == 'e' {
		if i++; i < len(b) && (b[i] == '+' || b[i] == '-') {
			i++
		}
		i = d.digits(i)
	}
	n := b[d.at:i]
	d.at = i
	return n
}

// skipJSON passes over a value.
func (d *decoder) skipJSON() {
	ends := d.ends[:0] // Of the lists and tables that it is in.
	for d.err == nil {
		switch c := d.next(); c {
		case '{', '[':
			if d.depth+len(ends) == maxNesting {
				d.malformed()
				break
			}
			d.at++
			ends = append(ends, c+2) // The bracket that closes it.
			if d.next() != c+2 {
				d.nameIn(c + 2)
				continue
			}
		case '"':
			d.quoted()
		case 'n':
			d.literal("null")
		case 't':
			d.literal("true")
		case 'f':
			d.literal("false")
		case 0:
			d.malformed()
		default:
			d.numeral()
		}
		for len(ends) > 0 && d.err == nil && !d.another(ends[len(ends)-1]) {
			ends = ends[:len(ends)-1]
		}
		if len(ends) == 0 {
			break
		}
		d.nameIn(ends[len(ends)-1])
	}
	d.ends = ends
}

// nameIn passes over the name of a member, where a table is what is in.
func (d *decoder) nameIn(end byte) {
	if end == '}' && d.err == nil {
		d.quoted()
		d.colon()
	}
}
