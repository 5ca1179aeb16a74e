package hub

import (
	"fmt"
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
func (p Position) String() string {
	return fmt.Sprintf("%014d-%03d%s", uint64(p)/1000, uint64(p)%1000, origin)
}

// Serial is the serial of the message with this index at the position.
func (p Position) Serial(index int) string {
	return fmt.Sprintf("%s:%03d", p, index)
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
