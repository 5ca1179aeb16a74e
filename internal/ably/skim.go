package ably

import (
	"bufio"
	"errors"
	"io"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// A Head is what must be known of a frame to refuse it.
type Head struct {
	// Action is what it is about.
	Action Action
	// MsgSerial numbers it, if it wants to be acknowledged.
	MsgSerial int64
}

// Skim reads a frame that is too large to be held, to its end, and holds no more
// of it than a buffer. Its error says that there is no head to be found.
func Skim(f Format, r io.Reader) (h Head, err error) {
	if f == Msgpack {
		err = h.skimMsgpack(msgp.NewReader(r))
	} else {
		err = h.skimJSON(skimmer{bufio.NewReader(r)})
	}
	if _, e := io.Copy(io.Discard, r); e != nil {
		err = e
	}
	return h, err
}

var errNoHead = errors.New("no head of a frame")

// take takes a member of the frame. The others than the head's are passed over.
func (h *Head) take(name, value string) error {
	if name != "action" && name != "msgSerial" {
		return nil
	}
	n, ok := parseInteger(value)
	if !ok {
		return errNoHead
	}
	if name == "action" {
		h.Action = Action(n)
	} else {
		h.MsgSerial = n
	}
	return nil
}

func (h *Head) skimMsgpack(r *msgp.Reader) error {
	const deepest = 1000 // It recurses.
	r.SetMaxRecursionDepth(deepest)
	n, err := r.ReadMapHeader()
	for ; n > 0 && err == nil; n-- {
		var name, value string
		if name, err = skimWord(r); err != nil {
			return err
		}
		if value, err = skimWord(r); err == nil {
			err = h.take(name, value)
		}
	}
	return err
}

// skimWord reads a name or a number. What is neither is passed over, and empty.
func skimWord(r *msgp.Reader) (string, error) {
	kind, _ := r.NextType() // Its error comes again.
	switch kind {
	case msgp.StrType:
		size, err := r.ReadStringHeader()
		if err != nil {
			return "", err
		}
		var room [maxSkimmed]byte
		word := room[:min(size, maxSkimmed)]
		if _, err = r.ReadFull(word); err == nil {
			_, err = r.R.Skip(int(size) - len(word))
		}
		return string(word), err
	case msgp.IntType, msgp.UintType:
		v, err := r.ReadInt64()
		return strconv.FormatInt(v, 10), err
	case msgp.Float32Type, msgp.Float64Type:
		v, err := r.ReadFloat64()
		return strconv.FormatFloat(v, 'g', -1, 64), err
	}
	return "", r.Skip()
}

// maxSkimmed is how much of a name or a number is looked at.
const maxSkimmed = 32

func (h *Head) skimJSON(s skimmer) error {
	if c, err := s.next(); err != nil || c != '{' {
		return errNoHead
	}
	for {
		c, err := s.next()
		switch {
		case err != nil:
			return err
		case c == '}':
			return nil
		case c == ',':
			continue
		case c != '"':
			return errNoHead
		}
		name, err := s.text()
		if err != nil {
			return err
		}
		if c, err = s.next(); err != nil || c != ':' {
			return errNoHead
		}
		value, err := s.value()
		if err == nil {
			err = h.take(name, value)
		}
		if err != nil {
			return err
		}
	}
}

// A skimmer reads JSON as far as it must to pass over it.
type skimmer struct{ *bufio.Reader }

// next returns the next byte that is no space.
func (s skimmer) next() (byte, error) {
	for {
		c, err := s.ReadByte()
		if err != nil || c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, err
		}
	}
}

// text reads a string, whose first quote was read, and returns how it begins, as it
// is written.
func (s skimmer) text() (string, error) {
	var begin []byte
	for {
		c, err := s.ReadByte()
		switch {
		case err != nil:
			return "", err
		case c == '"':
			return string(begin), nil
		case len(begin) < maxSkimmed:
			begin = append(begin, c)
		}
		if c == '\\' {
			if _, err := s.ReadByte(); err != nil {
				return "", err
			}
		}
	}
}

// value reads a value. A list or table is empty.
func (s skimmer) value() (string, error) {
	c, err := s.next()
	switch {
	case err != nil:
		return "", err
	case c == '"':
		return s.text()
	case c != '{' && c != '[':
		return s.scalar(c)
	}
	for depth := 1; depth > 0; {
		if c, err = s.ReadByte(); err != nil {
			return "", err
		}
		switch c {
		case '"':
			if _, err := s.text(); err != nil {
				return "", err
			}
		case '{', '[':
			depth++
		case '}', ']':
			depth--
		}
	}
	return "", nil
}

// scalar reads what ends where the next member begins, or the frame ends.
func (s skimmer) scalar(c byte) (string, error) {
	var begin []byte
	for {
		if c == ',' || c == '}' || c == ' ' || c == '\t' || c == '\r' || c == '\n' {
			return string(begin), s.UnreadByte()
		}
		if len(begin) < maxSkimmed {
			begin = append(begin, c)
		}
		var err error
		if c, err = s.ReadByte(); err != nil {
			return "", err
		}
	}
}
