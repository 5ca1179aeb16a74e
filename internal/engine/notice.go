package engine

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/usher-ws/usher"
)

// encodeNotice returns n as it goes to other nodes.
func encodeNotice(n usher.Notice) ([]byte, error) {
	if err := whole(n); err != nil {
		return nil, err
	}
	text, err := json.Marshal(n)
	switch {
	case err != nil:
		return nil, err
	case len(text) > maxValue:
		return nil, fmt.Errorf("%w: notice of %d bytes, at most %d", errTooLong, len(text), maxValue)
	}
	return text, nil
}

// decodeNotice reads what another node has sent. Members that it does not know
// are passed over: nodes of two versions run side by side during an update.
func decodeNotice(text []byte) (usher.Notice, error) {
	var n usher.Notice
	if len(text) > maxValue {
		return n, fmt.Errorf("notice of %d bytes, at most %d", len(text), maxValue)
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber() // An integer beyond 2^53 must come out as it went in.
	if err := d.Decode(&n); err != nil {
		// The text of a JSON error can quote what it stands at, which is
		// somebody's claim.
		return n, errors.New("not a notice in JSON")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return n, errors.New("more than one notice")
	}
	return n, whole(n)
}

// whole reports why n says not exactly one thing.
func whole(n usher.Notice) error {
	if (n.Revocation == nil) == (n.Renewal == nil) {
		return errors.New("notice is neither one revocation nor one renewal")
	}
	return nil
}
