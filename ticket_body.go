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

// encode writes the fields behind room for the head of a ticket, in their order: times as microseconds since 1970 in
// 8 bytes, texts with their length in front, claims as appendClaims does. Recheck
// is left out. Texts of the identity are kept byte for byte; claims cannot be,
// where they are not UTF-8, and are refused rather than changed.
func (b *ticketBody) encode() ([]byte, error) {
	id := &b.identity
	out := make([]byte, ticketHead, 512)
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

// decodeTicket reads what encode wrote, without that room. The seal was checked
// before; it is strict nonetheless. All texts are parts of one.
func decodeTicket(plain []byte) (*ticketBody, error) {
	b := &ticketBody{}
	id := &b.identity
	if len(plain) < len(b.id) {
		return nil, errTicketBody
	}
	rest := string(plain[copy(b.id[:], plain):])
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

func cutTime(b string, t *time.Time, ok bool) (string, bool) {
	if !ok || len(b) < 8 {
		return "", false
	}
	if micros := int64(binary.BigEndian.Uint64([]byte(b[:8]))); micros != noTime {
		*t = time.UnixMicro(micros)
	}
	return b[8:], true
}

func appendText(b []byte, s string) []byte {
	b = binary.AppendUvarint(b, uint64(len(s)))
	return append(b, s...)
}

func cutText(b string, s *string, ok bool) (string, bool) {
	if !ok {
		return "", false
	}
	n, b, ok := cutLength(b)
	if !ok {
		return "", false
	}
	*s = b[:n]
	return b[n:], true
}

// cutLength reads a length that is not above that of what follows it.
func cutLength(b string) (n int, rest string, ok bool) {
	var head [binary.MaxVarintLen64]byte
	length, size := binary.Uvarint(head[:copy(head[:], b)])
	if size <= 0 || length > uint64(len(b)-size) {
		return 0, "", false
	}
	return int(length), b[size:], true
}
