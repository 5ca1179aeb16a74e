package usher

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// A ticketBody is what is sealed in a ticket.
type ticketBody struct {
	id              [16]byte // Random; what is spent.
	issued, expires time.Time
	origin, route   string
	identity        Identity
}

// noTime stands for the zero time, which has no Unix time worth the name.
const noTime = math.MinInt64

var errTicketBody = errors.New("malformed ticket")

// encode writes the fields in their order: times as microseconds since 1970 in
// 8 bytes, texts with their length in front, claims as appendClaims does. Recheck
// is left out. Texts of the identity are kept byte for byte; claims cannot be,
// where they are not UTF-8, and are refused rather than changed.
func (b *ticketBody) encode() ([]byte, error) {
	id := &b.identity
	out := make([]byte, 0, 512)
	out = append(out, b.id[:]...)
	for _, t := range []time.Time{b.issued, b.expires, id.Issued, id.Expires} {
		out = appendTime(out, t)
	}
	for _, s := range []string{b.origin, b.route, id.Subject, id.Issuer, id.Session, id.Token} {
		out = appendText(out, s)
	}
	if id.Claims == nil {
		return out, nil
	}
	return appendClaims(out, id.Claims)
}

// decodeTicket reads what encode wrote. The seal was checked before; it is
// strict nonetheless.
func decodeTicket(plain []byte) (*ticketBody, error) {
	b := &ticketBody{}
	id := &b.identity
	if len(plain) < len(b.id) {
		return nil, errTicketBody
	}
	rest := plain[copy(b.id[:], plain):]
	ok := true
	for _, t := range []*time.Time{&b.issued, &b.expires, &id.Issued, &id.Expires} {
		rest, ok = cutTime(rest, t, ok)
	}
	for _, s := range []*string{&b.origin, &b.route, &id.Subject, &id.Issuer, &id.Session, &id.Token} {
		rest, ok = cutText(rest, s, ok)
	}
	if !ok || id.Subject == "" || b.route == "" || b.expires.IsZero() {
		return nil, errTicketBody
	}
	if len(rest) == 0 {
		return b, nil
	}
	claims, rest, ok := cutClaim(rest, 0)
	object, isObject := claims.(map[string]any)
	if !ok || !isObject || len(rest) > 0 {
		return nil, errTicketBody
	}
	id.Claims = object
	return b, nil
}

func appendTime(b []byte, t time.Time) []byte {
	micros := int64(noTime)
	if !t.IsZero() {
		micros = t.UnixMicro()
	}
	return binary.BigEndian.AppendUint64(b, uint64(micros))
}

func cutTime(b []byte, t *time.Time, ok bool) ([]byte, bool) {
	if !ok || len(b) < 8 {
		return nil, false
	}
	if micros := int64(binary.BigEndian.Uint64(b)); micros != noTime {
		*t = time.UnixMicro(micros)
	}
	return b[8:], true
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func cutText(b []byte, s *string, ok bool) ([]byte, bool) {
	if !ok {
		return nil, false
	}
	n, size := binary.Uvarint(b)
	if size <= 0 || n > uint64(len(b)-size) {
		return nil, false
	}
	end := size + int(n)
	*s = string(b[size:end])
	return b[end:], true
}
