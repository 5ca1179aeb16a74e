package usher

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"net/http"
)

// An answerHead is the head of the handler's answer to the handshake, on its
// way out. Where the Guard has answered already, it is swallowed, and must
// agree with what the Guard said.
type answerHead struct {
	swallow  bool
	selected string // The subprotocol that the Guard selected.
	text     []byte
	disagree func(error) // Called if the handler's answer is another.
}

// wholeHead stands for the head of an answer of which nothing came yet: most are
// written whole. It is never changed.
var wholeHead = new(answerHead)

var errNotSwitched = errors.New("handler did not switch protocols")

// writeHead takes the head from the front of p. Once it is whole, c.head is nil
// and frames follow; those of an open connection go out with it. An answer other
// than 101 has no frames after it: nothing can be put in between. Callers hold
// wmu.
func (c *conn) writeHead(p []byte) (int, error) {
	h := c.head
	if end := switchHead(h.text, p); end > 0 && !h.swallow {
		if c.state.Load() != connOpen {
			p = p[:end]
		}
		n, err := c.raw.Write(p)
		if n >= end {
			c.head = nil
			c.out.follow(p[end:n])
		}
		return n, err
	}
	if h == wholeHead {
		h = new(answerHead)
		c.head = h
	}
	before := len(h.text)
	h.text = append(h.text, p...)
	n := len(p)
	i := bytes.Index(h.text, []byte("\r\n\r\n"))
	if i >= 0 {
		n = i + 4 - before
		h.text = h.text[:i+4]
	}
	if len(h.text) > maxHead {
		return 0, errors.New("head of the handler's answer too large")
	}
	if !h.swallow {
		if n, err := c.raw.Write(p[:n]); err != nil {
			return n, err
		}
	}
	if i < 0 {
		return n, nil
	}
	res, err := http.ReadResponse(bufio.NewReaderSize(bytes.NewReader(h.text), len(h.text)), nil)
	if err != nil {
		return n, fmt.Errorf("head of the handler's answer: %w", err)
	}
	_ = res.Body.Close()
	c.head = nil
	if !h.swallow {
		c.out.lost = res.StatusCode != http.StatusSwitchingProtocols
		return n, nil
	}
	if err := h.agrees(res.StatusCode, res.Header); err != nil {
		h.disagree(err)
		return n, errEnded
	}
	return n, nil
}

// switchHead returns how long the head of a 101 is that p begins with, or 0. Most
// libraries write the whole of it at once: nobody reads it again then, and what
// frames come with it go out with it.
func switchHead(before, p []byte) int {
	if len(before) > 0 || len(p) > maxHead || !bytes.HasPrefix(p, []byte("HTTP/1.1 101 ")) {
		return 0
	}
	head, _, whole := bytes.Cut(p, []byte("\r\n\r\n"))
	if !whole {
		return 0
	}
	return len(head) + 4
}

// agrees compares the handler's answer with the Guard's.
func (h *answerHead) agrees(status int, header http.Header) error {
	if status != http.StatusSwitchingProtocols {
		return handlerRefusal(status)
	}
	if got := header.Get("Sec-Websocket-Protocol"); got != h.selected {
		return fmt.Errorf("%w: the handler selects the subprotocol %q, the guard %q: list the handler's in Guard.Subprotocols",
			errFault, got, h.selected)
	}
	return nil
}

// handlerRefusal is the error for a handler that does not want an admitted
// connection.
func handlerRefusal(status int) error {
	if status >= http.StatusInternalServerError {
		return fmt.Errorf("%w: %w: status %d", ErrUnavailable, errNotSwitched, status)
	}
	return fmt.Errorf("%w: %w: status %d", ErrForbidden, errNotSwitched, status)
}
