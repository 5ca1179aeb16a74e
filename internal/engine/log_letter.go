package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher/internal/hub"
)

// A letter is what an entry is sent to the store in. The connection keeps nothing
// of it, so that it is used again.
type letter struct {
	msg  nats.Msg
	id   [1]string // The one header of msg: what the entry is known by.
	data []byte
	head []byte // What subject, reply and id are made in.
	key  []byte
}

var letters = sync.Pool{New: func() any {
	m := new(letter)
	m.msg.Header = nats.Header{"Nats-Msg-Id": m.id[:]}
	return m
}}

// maxLetter is how much a letter that is kept holds.
const maxLetter = 16 << 10

func (m *letter) done() {
	m.msg.Subject, m.msg.Reply, m.id[0], m.msg.Data = "", "", "", nil
	if cap(m.data) > maxLetter {
		m.data = nil
	}
	letters.Put(m)
}

// address says where the letter goes, where its answer is to go, and what it is
// known by: a digest of the entry's key, within its channel.
func (m *letter) address(prefix, name, inbox string, number uint64, k hub.Key) {
	b := append(append(m.head[:0], prefix...), name...)
	subject := len(b)
	b = strconv.AppendUint(append(b, inbox...), number, 36)
	reply := len(b)
	m.key = append(append(m.key[:0], k.Of), k.ID...)
	sum := sha256.Sum256(m.key)
	b = base64.RawURLEncoding.AppendEncode(append(append(b, name...), '.'), sum[:16])
	m.head = b
	all := string(b)
	m.msg.Subject, m.msg.Reply, m.id[0], m.msg.Data = all[:subject], all[subject:reply], all[reply:], m.data
}

// placeIn reads the store's answer to an entry that was sent to the stream.
func (s *logStream) placeIn(m *nats.Msg) (hub.Position, error) {
	if m.Header.Get("Status") != "" { // Nobody serves the subject.
		return 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, errNoStream)
	}
	if at, ok := s.plainPlace(m.Data); ok {
		return at, nil
	}
	var ack struct {
		jetstream.PubAck
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		return 0, fmt.Errorf("%w: decode the store's answer: %w", hub.ErrUnavailable, err)
	}
	switch {
	case ack.Error == nil && ack.Stream != s.stream():
		return 0, fmt.Errorf("%w: the store's answer is of another stream", hub.ErrUnavailable)
	case ack.Error == nil:
		return hub.Position(ack.Sequence), nil
	case is(ack.Error, codeStoreFailed, codeNoResources, codeNoStorage):
		return 0, fmt.Errorf("%w: %s", hub.ErrFull, ack.Error.Description)
	}
	return 0, fmt.Errorf("%w: %w", hub.ErrUnavailable, ack.Error)
}

// plainPlace reads an answer that is written as servers write most of them:
// {"stream":"usher_brief_0","seq":1}. All others are for a parser.
func (s *logStream) plainPlace(b []byte) (hub.Position, bool) {
	rest, ok := bytes.CutPrefix(b, []byte(`{"stream":"usher_`))
	if !ok || len(rest) < len(s.name) || string(rest[:len(s.name)]) != s.name {
		return 0, false
	}
	digits, ok := bytes.CutPrefix(rest[len(s.name):], []byte(`","seq":`))
	if !ok || len(digits) < 2 || len(digits) > 19 || digits[len(digits)-1] != '}' || digits[0] == '0' {
		return 0, false
	}
	var at hub.Position
	for _, c := range digits[:len(digits)-1] {
		if c < '0' || c > '9' {
			return 0, false
		}
		at = at*10 + hub.Position(c-'0')
	}
	return at, true
}
