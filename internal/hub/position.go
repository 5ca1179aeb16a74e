package hub

import (
	"strconv"
	"strings"
)

// A Position is a place in the logs. Positions of one channel only rise, also
// where a log was lost and began anew: it begins at the time in microseconds,
// and no channel takes a million entries in a second. 0 is before everything.
type Position uint64

// origin ends each serial: the place where it was given.
const origin = "@usher"

// String is the position as a serial: of two of a channel, the later one is the
// greater string.
func (p Position) String() string { return string(p.Append(make([]byte, 0, 48))) }

// Serial is the serial of the message with this index at the position.
func (p Position) Serial(index int) string { return string(p.AppendSerial(make([]byte, 0, 48), index)) }

// AppendSerial appends what Serial returns: digits, "-", "@usher" and ":", and
// nothing else.
func (p Position) AppendSerial(b []byte, index int) []byte {
	return appendPadded(append(p.Append(b), ':'), uint64(index), 3)
}

// Append appends what String returns.
func (p Position) Append(b []byte) []byte {
	b = appendPadded(b, uint64(p)/1000, 14)
	b = appendPadded(append(b, '-'), uint64(p)%1000, 3)
	return append(b, origin...)
}

// appendPadded appends n with zeros in front of it, up to so many digits.
func appendPadded(b []byte, n uint64, digits int) []byte {
	for limit := uint64(10); digits > 1; digits-- {
		if n < limit {
			b = append(b, '0')
		}
		limit *= 10
	}
	return strconv.AppendUint(b, n, 10)
}

// ParsePosition reads a serial of a position, or of a message there.
func ParsePosition(serial string) (Position, bool) {
	whole, rest, ok := strings.Cut(serial, origin)
	if !ok || rest != "" && rest[0] != ':' {
		return 0, false
	}
	ms, part, ok := strings.Cut(whole, "-")
	if !ok || len(ms) != 14 || len(part) != 3 {
		return 0, false
	}
	a, err := strconv.ParseUint(ms, 10, 64)
	if err != nil {
		return 0, false
	}
	b, err := strconv.ParseUint(part, 10, 64)
	if err != nil {
		return 0, false
	}
	return Position(a*1000 + b), true
}
