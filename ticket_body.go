package usher

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unicode/utf8"
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
// 8 bytes, texts with their length in front, claims as JSON. Recheck is left
// out. Texts of the identity are kept byte for byte; claims cannot be, where
// they are not UTF-8, and are refused rather than changed.
func (b *ticketBody) encode() ([]byte, error) {
	id := &b.identity
	var claims []byte
	if id.Claims != nil {
		if !isUTF8(map[string]any(id.Claims)) {
			return nil, errors.New("claims are not valid UTF-8")
		}
		var err error
		if claims, err = json.Marshal(id.Claims); err != nil {
			return nil, fmt.Errorf("encode claims: %w", err)
		}
	}
	out := make([]byte, 0, 256+len(claims))
	out = append(out, b.id[:]...)
	for _, t := range []time.Time{b.issued, b.expires, id.Issued, id.Expires} {
		out = appendTime(out, t)
	}
	for _, s := range []string{b.origin, b.route, id.Subject, id.Issuer, id.Session, id.Token} {
		out = appendText(out, s)
	}
	return append(out, claims...), nil
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
	d := json.NewDecoder(bytes.NewReader(rest))
	d.UseNumber()
	if err := d.Decode(&id.Claims); err != nil || id.Claims == nil {
		return nil, errTicketBody
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errTicketBody
	}
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

// isUTF8 reports whether JSON can carry the texts in v as they are. It knows
// the types that come from JSON, and lists of strings.
func isUTF8(v any) bool {
	switch v := v.(type) {
	case string:
		return utf8.ValidString(v)
	case []string:
		for _, s := range v {
			if !utf8.ValidString(s) {
				return false
			}
		}
	case []any:
		for _, e := range v {
			if !isUTF8(e) {
				return false
			}
		}
	case map[string]any:
		for k, e := range v {
			if !utf8.ValidString(k) || !isUTF8(e) {
				return false
			}
		}
	}
	return true
}
