package demo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gobwas/ws"
)

// maxControl bounds the payload of a control frame (RFC 6455, section 5.5).
const maxControl = 125

// A closeScanner finds the Close frame in what one side of a socket sends. It
// keeps no more of other frames than their heads.
type closeScanner struct {
	begun []byte // Of the frame that is not understood yet.
	skip  int64  // Bytes that are left of a payload that does not matter.
	over  bool   // After the Close frame, or what is no frame.
}

// next takes what is sent and returns the payload of the Close frame once that
// is whole.
func (s *closeScanner) next(p []byte) (payload []byte, found bool) {
	if s.over {
		return nil, false
	}
	if len(s.begun) > 0 {
		p, s.begun = append(s.begun, p...), nil
	}
	for {
		n := min(s.skip, int64(len(p)))
		s.skip, p = s.skip-n, p[n:]
		r := bytes.NewReader(p)
		head, err := ws.ReadHeader(r)
		isClose := head.OpCode == ws.OpClose
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF),
			err == nil && isClose && int64(r.Len()) < head.Length && head.Length <= maxControl:
			s.begun = bytes.Clone(p)
			return nil, false
		case err != nil, isClose && head.Length > maxControl:
			s.over = true
			return nil, false
		}
		p = p[len(p)-r.Len():]
		if isClose {
			s.over = true
			payload = bytes.Clone(p[:head.Length])
			if head.Masked {
				ws.Cipher(payload, head.Mask, 0)
			}
			return payload, true
		}
		s.skip = head.Length
	}
}

// closeLine says what is in a Close frame: its code, and its reason as show
// has it.
func closeLine(payload []byte, show func(reason string) string) string {
	if len(payload) < 2 {
		return "Close"
	}
	line := fmt.Sprintf("Close %d %s", binary.BigEndian.Uint16(payload), show(string(payload[2:])))
	return strings.TrimSpace(line)
}
