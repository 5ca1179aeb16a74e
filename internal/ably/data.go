package ably

import (
	"bytes"
	"encoding/base64"
	"strings"
)

// Data is what a message carries: text, bytes or nothing. JSON, which has no
// bytes, carries them as base64 and says so at the end of the encoding; Data is
// without that, so that what one publishes in one format is read in the other.
type Data struct {
	content string // Immutable, as strings are, and so shared without a copy.
	kind    dataKind
}

type dataKind uint8

const (
	dataNone dataKind = iota
	dataText
	dataBinary
)

// TextData returns text as Data.
func TextData(s string) Data { return Data{content: s, kind: dataText} }

// BinaryData returns bytes, held in a string, as Data.
func BinaryData(s string) Data { return Data{content: s, kind: dataBinary} }

// Absent reports whether there is none.
func (d Data) Absent() bool { return d.kind == dataNone }

// Binary reports whether it is bytes.
func (d Data) Binary() bool { return d.kind == dataBinary }

// Content is the text or the bytes.
func (d Data) Content() string { return d.content }

// A payload is data and encoding as they are read, in any order. They last until
// the decoder is released.
type payload struct {
	content, encoding []byte
	kind              dataKind
	object            bool // The content is the JSON of an object or a list.
}

// data reads the member "data". What is neither text nor bytes nor an
// object is a problem; an object is the text of its JSON, and is marked so once
// the encoding is known: see settle.
func (p *payload) data(d *decoder) {
	p.content, p.kind, p.object = nil, dataNone, false
	switch k := d.kind(); k {
	case kindText:
		p.content, p.kind = d.readBytes(BadData), dataText
		return
	case kindBinary:
		p.content, p.kind = d.binary(), dataBinary
		return
	case kindList, kindTable:
		p.content, p.kind, p.object = d.appendRaw(nil), dataText, true
		return
	case kindNull:
	default:
		d.refuse(BadData, "data must be a string, bytes, an object or a list")
	}
	d.skip()
}

const (
	base64Step = "base64"
	jsonStep   = "json"
)

// settle brings data and encoding into the form that Data says.
func (p *payload) settle(d *decoder) {
	rest, last := cutLast(p.encoding)
	switch {
	case p.object && string(last) != jsonStep:
		p.encoding = []byte(joinStep(string(p.encoding), jsonStep))
	case !p.object && p.kind == dataText && string(last) == base64Step:
		n := len(d.room)
		room, err := base64.StdEncoding.AppendDecode(d.room, p.content)
		if err != nil {
			d.refuse(BadData, "data is not the base64 that its encoding says")
			return
		}
		d.room = room
		p.content, p.kind, p.encoding = room[n:], dataBinary, rest
	}
}

// A whole is strings that are parts of one, so that a message takes one piece of
// memory for them. They are kept together: what is kept for longer, or is of no
// bounded length, is not among them.
type whole struct{ strings.Builder }

// text is b as a part of it. What is empty is no part, for the collector to look at.
func (w *whole) text(b []byte) string {
	if len(b) == 0 {
		return ""
	}
	n := w.Len()
	_, _ = w.Write(b) // It never fails.
	return w.String()[n:]
}

// data writes data and encoding.
func (e *encoder) data(data Data, encoding string) {
	switch data.kind {
	case dataNone:
	case dataText:
		e.alwaysText("data", data.content)
	case dataBinary:
		e.name("data")
		e.writeBinary(data.content)
		if e.format == JSON {
			encoding = joinStep(encoding, base64Step)
		}
	}
	e.text("encoding", encoding)
}

// cutLast cuts the last step, which is the outermost, off an encoding.
func cutLast(encoding []byte) (rest, last []byte) {
	i := bytes.LastIndexByte(encoding, '/')
	if i < 0 {
		return nil, encoding
	}
	return encoding[:i], encoding[i+1:]
}

func joinStep(encoding, step string) string {
	if encoding == "" {
		return step
	}
	return encoding + "/" + step
}
