package ably

import (
	"encoding/base64"
	"slices"
	"strconv"
	"sync"

	"github.com/tinylib/msgp/msgp"
)

// An encoder writes one value after the other, in either format. What is in a
// table is written by the methods that take a name: those leave out what says
// nothing, unless their name says "always".
type encoder struct {
	format Format
	b      []byte
	open   []table // Msgpack: the tables that are being written.
	room   [4]table

	message Message // Of a Delivery.
}

var encoders = sync.Pool{New: func() any { return new(encoder) }}

func newEncoder(b []byte, f Format) *encoder {
	e, _ := encoders.Get().(*encoder)
	e.format, e.b, e.open = f, b, nil
	return e
}

// release gives the encoder back, and returns what it has written.
func (e *encoder) release() []byte {
	b := e.b
	e.b = nil
	encoders.Put(e)
	return b
}

// A table is where its head is, and how many members it has so far. Msgpack
// wants that number first, and nobody wants to count twice.
type table struct{ at, members int }

func (e *encoder) begin() {
	if e.format == JSON {
		e.b = append(e.b, '{')
		return
	}
	if e.open == nil {
		e.open = e.room[:0]
	}
	e.open = append(e.open, table{at: len(e.b)})
	e.b = append(e.b, 0x80)
}

func (e *encoder) end() {
	if e.format == JSON {
		e.b = append(e.b, '}')
		return
	}
	t := e.open[len(e.open)-1]
	e.open = e.open[:len(e.open)-1]
	if t.members <= 15 {
		e.b[t.at] |= byte(t.members)
		return
	}
	e.b = slices.Replace(e.b, t.at, t.at+1, msgp.AppendMapHeader(nil, uint32(t.members))...)
}

// name writes the name of the member that is written next.
func (e *encoder) name(name string) {
	if e.format == JSON {
		e.b = append(append(append(separated(e.b), '"'), name...), '"', ':')
		return
	}
	e.open[len(e.open)-1].members++
	e.b = msgp.AppendString(e.b, name)
}

// list writes the head of a list of n elements. Each begins with element.
func (e *encoder) list(n int) {
	if e.format == JSON {
		e.b = append(e.b, '[')
		return
	}
	e.b = msgp.AppendArrayHeader(e.b, uint32(n))
}

func (e *encoder) element() {
	if e.format == JSON {
		e.b = separated(e.b)
	}
}

func (e *encoder) endList() {
	if e.format == JSON {
		e.b = append(e.b, ']')
	}
}

func (e *encoder) writeText(s string) {
	if e.format == JSON {
		e.b = appendQuoted(e.b, s)
		return
	}
	e.b = msgp.AppendString(e.b, s)
}

// writePlain writes text that write appends, in which there is nothing to escape.
func (e *encoder) writePlain(write func(b []byte) []byte) {
	if e.format == JSON {
		e.b = append(write(append(e.b, '"')), '"')
		return
	}
	e.b = appendPlain(e.b, write)
}

// appendPlain appends text that write appends as msgpack has it: most is short.
func appendPlain(b []byte, write func(b []byte) []byte) []byte {
	at := len(b)
	b = write(append(b, 0xa0))
	n := len(b) - at - 1
	if n < 32 {
		b[at] |= byte(n)
		return b
	}
	return msgp.AppendStringFromBytes(b[:at], slices.Clone(b[at+1:]))
}

func (e *encoder) writeInteger(n int64) {
	if e.format == JSON {
		e.b = strconv.AppendInt(e.b, n, 10)
		return
	}
	e.b = msgp.AppendInt64(e.b, n)
}

func (e *encoder) writeBool(v bool) {
	if e.format == JSON {
		e.b = strconv.AppendBool(e.b, v)
		return
	}
	e.b = msgp.AppendBool(e.b, v)
}

func (e *encoder) writeNull() {
	if e.format == JSON {
		e.b = append(e.b, "null"...)
		return
	}
	e.b = msgp.AppendNil(e.b)
}

// writeBinary writes bytes, in JSON as base64.
func (e *encoder) writeBinary(s string) {
	if e.format == Msgpack {
		e.b = append(msgp.AppendBytesHeader(e.b, uint32(len(s))), s...)
		return
	}
	e.b = append(e.b, '"')
	e.b = base64.StdEncoding.AppendEncode(e.b, []byte(s))
	e.b = append(e.b, '"')
}

// writeRaw writes JSON that decoder.raw has read.
func (e *encoder) writeRaw(text string) {
	if e.format == JSON {
		e.b = append(e.b, text...)
		return
	}
	d := newDecoder(JSON, []byte(text))
	defer d.release()
	e.transcode(d)
}

// transcode writes the value that d has next.
func (e *encoder) transcode(d *decoder) {
	switch d.kind() {
	case kindBool:
		e.writeBool(d.boolean())
	case kindNumber:
		e.writeNumber(string(d.number()))
	case kindText:
		e.writeText(d.readText(BadRequest))
	case kindList:
		e.transcodeList(d)
	case kindTable:
		e.begin()
		for name := range d.members {
			e.chosenName(string(name))
			e.transcode(d)
		}
		e.end()
	default:
		d.skip()
		e.writeNull()
	}
}

// transcodeList writes a list whose length shows at its end only.
func (e *encoder) transcodeList(d *decoder) {
	at, n := len(e.b), 0
	for range d.elements {
		e.transcode(d)
		n++
	}
	e.b = slices.Insert(e.b, at, msgp.AppendArrayHeader(nil, uint32(n))...)
}

// writeNumber writes a number of JSON in msgpack.
func (e *encoder) writeNumber(s string) {
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		e.b = msgp.AppendInt64(e.b, n)
	} else if n, err := strconv.ParseUint(s, 10, 64); err == nil {
		e.b = msgp.AppendUint64(e.b, n)
	} else {
		f, _ := strconv.ParseFloat(s, 64) // Out of range is the nearest there is: infinity.
		e.b = msgp.AppendFloat64(e.b, f)
	}
}

func (e *encoder) text(name, s string) {
	if s != "" {
		e.alwaysText(name, s)
	}
}

func (e *encoder) alwaysText(name, s string) {
	e.name(name)
	e.writeText(s)
}

func (e *encoder) integer(name string, n int64) {
	if n != 0 {
		e.alwaysInteger(name, n)
	}
}

func (e *encoder) alwaysInteger(name string, n int64) {
	e.name(name)
	e.writeInteger(n)
}

func (e *encoder) boolean(name string, v bool) {
	if v {
		e.name(name)
		e.writeBool(v)
	}
}

func (e *encoder) raw(name, text string) {
	if text != "" {
		e.name(name)
		e.writeRaw(text)
	}
}

// encodeList writes a list of values under name, unless it is empty.
func encodeList[V Value](e *encoder, name string, list []V) {
	if len(list) > 0 {
		e.name(name)
		writeList(e, list)
	}
}

func writeList[V Value](e *encoder, list []V) {
	e.list(len(list))
	for _, v := range list {
		e.element()
		v.encode(e)
	}
	e.endList()
}
