//go:build linux

package epoll

import (
	"bytes"
	"errors"
	"fmt"
	"time"
)

var (
	switching = []byte("HTTP/1.1 101 ")
	endOfHead = []byte("\r\n\r\n")
)

// Connect opens a connection for each request, so many at a time, and leaves
// them open. Its latencies are from the socket to the 101, or to the last answer
// that comes before the connection is open. A server that refuses one ends it with an error.
func (c *Client) Connect(requests []Request, atOnce int) (Outcome, error) {
	o := Outcome{Latencies: make([]time.Duration, 0, len(requests))}
	begun, next := time.Now(), 0
	var opened func(*conn) error
	begin := func() error {
		if next == len(requests) {
			return nil
		}
		next++
		return c.handshake(&requests[next-1], opened)
	}
	opened = func(k *conn) error {
		o.Latencies = append(o.Latencies, time.Since(k.begun))
		return begin()
	}
	for range min(atOnce, len(requests)) {
		if err := begin(); err != nil {
			return o, err
		}
	}
	err := c.run(func() bool { return len(o.Latencies) == len(requests) })
	o.Took = time.Since(begun)
	if err != nil {
		return o, fmt.Errorf("connect, %d of %d are open: %w", len(o.Latencies), len(requests), err)
	}
	return o, nil
}

// handshake begins a connection and calls opened when it is open and idle.
func (c *Client) handshake(r *Request, opened func(*conn) error) error {
	begun := time.Now()
	k, err := c.dial(func(k *conn, p []byte) error {
		early, whole, err := k.answered(p)
		if !whole || err != nil {
			return err
		}
		return c.converse(k, early, opened)
	})
	if err != nil {
		return err
	}
	k.begun, k.request = begun, r
	return c.send(k, r.Handshake)
}

// converse hears what the server says first, where it does, and sends the
// messages, each after the answer to the one before.
func (c *Client) converse(k *conn, early []byte, opened func(*conn) error) error {
	left, awaits := k.request.Messages, k.request.Greeted
	k.on = func(k *conn, p []byte) error {
		for {
			if awaits {
				rest, whole, err := k.greeted(p)
				if !whole || err != nil {
					return err
				}
				p = rest
			}
			if len(left) == 0 {
				return c.rest(k, p, opened)
			}
			awaits = true
			if err := c.send(k, left[0]); err != nil {
				return err
			}
			if left = left[1:]; len(p) == 0 {
				return nil
			}
		}
	}
	if awaits && len(early) == 0 {
		return nil
	}
	return k.on(k, early)
}

// rest makes a connection idle, and says that it is open.
func (c *Client) rest(k *conn, early []byte, opened func(*conn) error) error {
	k.on = c.idle
	if len(early) > 0 {
		if err := c.idle(k, early); err != nil {
			return err
		}
	}
	return opened(k)
}

// answered looks for the end of the answer's head in what came, and returns
// what comes after it.
func (k *conn) answered(p []byte) (early []byte, whole bool, err error) {
	if len(p) == 0 {
		return nil, false, fmt.Errorf("before the answer: %w", errEnded)
	}
	if k.head != nil {
		k.head = append(k.head, p...)
		p = k.head
	}
	at := bytes.Index(p, endOfHead)
	if at < 0 {
		if k.head == nil {
			k.head = bytes.Clone(p)
		}
		return nil, false, nil
	}
	k.head = nil
	if !bytes.HasPrefix(p, switching) {
		line, _, _ := bytes.Cut(p, []byte("\r\n"))
		return nil, false, fmt.Errorf("refused: %q", line)
	}
	return p[at+len(endOfHead):], true, nil
}

// greeted looks for the end of the frame that the server says first, or that
// answers a message, and returns what comes after it.
func (k *conn) greeted(p []byte) (early []byte, whole bool, err error) {
	if len(p) == 0 {
		return nil, false, fmt.Errorf("before a message was answered: %w", errEnded)
	}
	p = append(k.head, p...)
	k.head = nil
	if p[0] != finalText && p[0] != finalBinary {
		return nil, false, fmt.Errorf("a message was answered by a frame that begins with %#x", p[0])
	}
	size := frameSize(p)
	if len(p) < size {
		k.head = bytes.Clone(p)
		return nil, false, nil
	}
	return p[size:], true, nil
}

// frameSize is how long a frame of a server is that p begins with: more than p
// has, where not all of it is there. It is of at most 64 KiB.
func frameSize(p []byte) int {
	switch {
	case len(p) > 1 && p[1] < 126:
		return 2 + int(p[1])
	case len(p) > 3:
		return 4 + int(p[2])<<8 + int(p[3])
	}
	return len(p) + 1
}

// Heads of frames (RFC 6455 §5.2), and frames of a client with nothing in them.
const (
	finalText   = 0x81
	finalBinary = 0x82
	finalClose  = 0x88
	finalPing   = 0x89
)

var (
	closeFrame = []byte{finalClose, 0x82, 0, 0, 0, 0, 0x03, 0xe8} // 1000, masked with zeros.
	pongFrame  = []byte{0x8a, 0x80, 0, 0, 0, 0}
)

// idle is for what comes unasked: a ping is answered, an end counted, all else
// thrown away. Servers ping with nothing in it, so the answer has nothing either.
// What comes unasked comes whole.
func (c *Client) idle(k *conn, p []byte) error {
	if len(p) == 0 {
		c.lose(k, errors.Join(errEnded, k.failed))
	}
	for len(p) > 0 {
		switch p[0] {
		case finalClose:
			c.lose(k, fmt.Errorf("%w by %q", errEnded, p))
			return nil
		case finalPing:
			if err := c.send(k, pongFrame); err != nil {
				return err
			}
		}
		p = p[min(frameSize(p), len(p)):]
	}
	return nil
}

// lose drops a connection that was ended unasked.
func (c *Client) lose(k *conn, why error) {
	c.lost++
	c.why = fmt.Errorf("%v after it was begun: %w", time.Since(k.begun).Round(time.Millisecond), why)
	c.drop(k)
}

// Rest keeps the connections as they are for a time: it answers pings.
func (c *Client) Rest(d time.Duration) error {
	end := time.Now().Add(d)
	return c.run(func() bool { return !time.Now().Before(end) })
}
