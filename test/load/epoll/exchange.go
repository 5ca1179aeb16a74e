//go:build linux

package epoll

import (
	"errors"
	"fmt"
	"time"
)

// A question is what waits for an answer of so many bytes.
type question struct {
	begun time.Time
	bytes int
}

// Dial opens plain TCP connections, for servers that do not speak HTTP.
func (c *Client) Dial(n int) error {
	for range n {
		if _, err := c.dial(c.idle); err != nil {
			return err
		}
	}
	return nil
}

// Exchange asks so many questions over all open connections, on each up to
// window at a time, and counts the bytes of the answers, which come in order.
// ask returns what to send as question i, and how many bytes the answer has.
// What it returns must not change.
func (c *Client) Exchange(total, window int, ask func(i int) (send []byte, answer int)) (Outcome, error) {
	o := Outcome{Latencies: make([]time.Duration, 0, total)}
	if c.live == 0 {
		return o, errors.New("exchange: no connection is open")
	}
	begun, next := time.Now(), 0
	fill := func(k *conn) error {
		for ; len(k.want) < window && next < total; next++ {
			send, answer := ask(next)
			k.want = append(k.want, question{time.Now(), answer})
			if err := c.send(k, send); err != nil {
				return err
			}
		}
		return nil
	}
	answered := func(k *conn, p []byte) error {
		if len(p) == 0 {
			return errEnded
		}
		if k.got == 0 && p[0] == finalClose {
			return fmt.Errorf("instead of an answer a Close frame came: %w", errEnded)
		}
		o.Bytes += int64(len(p))
		k.got += len(p)
		done := 0
		for done < len(k.want) && k.got >= k.want[done].bytes {
			k.got -= k.want[done].bytes
			o.Latencies = append(o.Latencies, time.Since(k.want[done].begun))
			done++
		}
		if len(k.want) == done && k.got > 0 {
			return fmt.Errorf("%d bytes that nobody asked for", k.got)
		}
		k.want = k.want[:copy(k.want, k.want[done:])]
		return fill(k)
	}
	for _, k := range c.open {
		if k != nil {
			k.on, k.got, k.want = answered, 0, make([]question, 0, window)
			if err := fill(k); err != nil {
				return o, err
			}
		}
	}
	err := c.run(func() bool { return len(o.Latencies) == total })
	o.Took = time.Since(begun)
	for _, k := range c.open {
		if k != nil {
			k.on, k.want = c.idle, nil
		}
	}
	if err != nil {
		return o, fmt.Errorf("exchange, %d of %d are answered: %w", len(o.Latencies), total, err)
	}
	return o, nil
}

// Frame returns a masked binary frame with a payload of so many bytes, and how
// many bytes its echo has.
func Frame(payload int) (frame []byte, echo int) {
	frame = []byte{0x82}
	switch {
	case payload < 126:
		frame = append(frame, 0x80|byte(payload))
	case payload < 1<<16:
		frame = append(frame, 0x80|126, byte(payload>>8), byte(payload))
	default:
		frame = append(frame, 0x80|127, 0, 0, 0, 0, byte(payload>>24), byte(payload>>16), byte(payload>>8), byte(payload))
	}
	echo = len(frame) + payload
	frame = append(frame, 0x12, 0x34, 0x56, 0x78)
	for i := range payload {
		frame = append(frame, byte(i))
	}
	return frame, echo
}

// TextFrame returns a masked text frame of at most 64 KiB.
func TextFrame(text []byte) []byte { return smallFrame(finalText, text) }

// BinaryFrame returns a masked binary frame of at most 64 KiB.
func BinaryFrame(payload []byte) []byte { return smallFrame(finalBinary, payload) }

func smallFrame(head byte, payload []byte) []byte {
	frame := []byte{head}
	if len(payload) < 126 {
		frame = append(frame, 0x80|byte(len(payload)))
	} else {
		frame = append(frame, 0x80|126, byte(len(payload)>>8), byte(len(payload)))
	}
	frame = append(frame, 0, 0, 0, 0) // A mask that changes nothing.
	return append(frame, payload...)
}
