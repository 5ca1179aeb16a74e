package engine

import (
	"encoding/binary"
	"errors"

	"github.com/usher-ws/usher/internal/hub"
)

// entryFormat begins each entry that is kept. One that begins otherwise is of
// another version of this program.
const entryFormat = 1

var errEntry = errors.New("entry of another version, or damaged")

func encodeEntry(e *hub.Entry) []byte { return appendEntry(make([]byte, 0, 256), e) }

// appendEntry appends an entry as it is kept: texts by their length and bytes.
func appendEntry(b []byte, e *hub.Entry) []byte {
	kept := byte(0)
	if e.Name.Kept {
		kept = 1
	}
	b = append(b, entryFormat, byte(e.Kind), kept)
	b = appendText(b, e.Name.App)
	b = appendText(b, e.Name.Channel)
	b = appendText(b, e.ConnectionID)
	b = binary.AppendUvarint(b, uint64(len(e.Messages)))
	for i := range e.Messages {
		m := &e.Messages[i]
		b = append(b, byte(m.Form), byte(m.Action))
		for _, s := range [...]string{m.ID, m.Name, m.Data, m.Encoding, m.Extras, m.ClientID, m.ConnectionID} {
			b = appendText(b, s)
		}
	}
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// decodeEntry reads an entry, without its place. It keeps b.
func decodeEntry(b []byte) (*hub.Entry, error) {
	d := entryDecoder{rest: string(b)}
	if d.octet() != entryFormat {
		return nil, errEntry
	}
	e := &hub.Entry{Name: new(hub.Name), Kind: hub.Kind(d.octet())}
	e.Name.Kept = d.octet() == 1
	e.Name.App, e.Name.Channel, e.ConnectionID = d.text(), d.text(), d.text()
	n := d.number()
	if n == 0 || n > uint64(len(d.rest)) { // Each has several bytes.
		return nil, errEntry
	}
	e.Messages = make([]hub.Message, n)
	for i := range e.Messages {
		m := &e.Messages[i]
		m.Form, m.Action = hub.Form(d.octet()), hub.Action(d.octet())
		for _, s := range [...]*string{&m.ID, &m.Name, &m.Data, &m.Encoding, &m.Extras, &m.ClientID, &m.ConnectionID} {
			*s = d.text()
		}
	}
	if d.broken || d.rest != "" {
		return nil, errEntry
	}
	return e, nil
}

// An entryDecoder reads one value after the other. After the first fault all
// that it reads is empty.
type entryDecoder struct {
	rest   string
	broken bool
}

func (d *entryDecoder) octet() byte {
	if d.rest == "" {
		d.broken = true
		return 0
	}
	b := d.rest[0]
	d.rest = d.rest[1:]
	return b
}

func (d *entryDecoder) number() uint64 {
	var n uint64
	for shift := 0; ; shift += 7 {
		b := d.octet()
		if d.broken || shift > 56 {
			d.broken = true
			return 0
		}
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
}

func (d *entryDecoder) text() string {
	n := d.number()
	if d.broken || n > uint64(len(d.rest)) {
		d.broken = true
		return ""
	}
	s := d.rest[:n]
	d.rest = d.rest[n:]
	return s
}
