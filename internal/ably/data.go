package ably

import (
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

// data reads the member "data". What is neither text nor bytes nor an
// object is a problem; an object is the text of its JSON, and is marked so once
// the encoding is known: see settle.
func (d *decoder) data() (data Data, object bool) {
	switch k := d.kind(); k {
	case kindText:
		return TextData(d.readText(BadData)), false
	case kindBinary:
		return BinaryData(string(d.binary())), false
	case kindList, kindTable:
		return TextData(d.raw()), true
	case kindNull:
	default:
		d.refuse(BadData, "data must be a string, bytes, an object or a list")
	}
	d.skip()
	return Data{}, false
}

const (
	base64Step = "base64"
	jsonStep   = "json"
)

// settle brings data and encoding, which came in any order, into the form that
// Data says.
func (d *decoder) settle(data Data, encoding string, object bool) (Data, string) {
	rest, last := cutLast(encoding)
	if object {
		if last != jsonStep {
			encoding = joinStep(encoding, jsonStep)
		}
		return data, encoding
	}
	if data.kind != dataText || last != base64Step {
		return data, encoding
	}
	raw, err := base64.StdEncoding.DecodeString(data.content)
	if err != nil {
		d.refuse(BadData, "data is not the base64 that its encoding says")
		return data, encoding
	}
	return BinaryData(string(raw)), rest
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
func cutLast(encoding string) (rest, last string) {
	i := strings.LastIndexByte(encoding, '/')
	if i < 0 {
		return "", encoding
	}
	return encoding[:i], encoding[i+1:]
}

func joinStep(encoding, step string) string {
	if encoding == "" {
		return step
	}
	return encoding + "/" + step
}
