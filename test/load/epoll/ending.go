//go:build linux

package epoll

import (
	"fmt"
	"time"
)

// AwaitClose calls end, and waits until each open connection had its Close
// frame. Its latencies are from the call on. A connection that ends without a
// Close frame is an error.
func (c *Client) AwaitClose(end func() error) (Outcome, error) {
	total := c.live
	o := Outcome{Latencies: make([]time.Duration, 0, total)}
	var begun time.Time
	for _, k := range c.open {
		if k == nil {
			continue
		}
		k.on = func(k *conn, p []byte) error {
			if len(p) == 0 {
				return fmt.Errorf("without a Close frame: %w", errEnded)
			}
			if p[0] != finalClose {
				return c.idle(k, p)
			}
			o.Latencies = append(o.Latencies, time.Since(begun))
			k.on = c.gone(nil)
			return c.send(k, closeFrame)
		}
	}
	begun = time.Now()
	if err := end(); err != nil {
		return o, err
	}
	err := c.run(func() bool { return len(o.Latencies) == total })
	o.Took = time.Since(begun)
	if err != nil {
		return o, fmt.Errorf("%d of %d have ended: %w", len(o.Latencies), total, err)
	}
	return o, nil
}

// gone drops a connection when its server has closed it, and calls then.
func (c *Client) gone(then func() error) func(*conn, []byte) error {
	return func(k *conn, p []byte) error {
		if len(p) > 0 {
			return nil // Its own Close frame, or what was under way.
		}
		c.drop(k)
		if then == nil {
			return nil
		}
		return then()
	}
}

// Churn opens connections and closes them as soon as they are open, so many at
// a time, for a time or as many as most says, whatever is first; 0 is no bound.
// Those that are open already stay so. A latency is from the socket until the server has
// closed it after its Close frame. The requests are used in turn. watch is
// called about each second. Default: none.
func (c *Client) Churn(requests []Request, atOnce, most int, d time.Duration, watch func() error) (Outcome, error) {
	var o Outcome
	begun := time.Now()
	end, tick := begun.Add(d), begun.Add(time.Second)
	next, under := 0, 0
	var begin func() error
	begin = func() error {
		if most > 0 && next == most || !time.Now().Before(end) {
			return nil
		}
		next++
		under++
		return c.handshake(&requests[(next-1)%len(requests)], func(k *conn) error {
			start := k.begun
			k.on = c.gone(func() error {
				under--
				o.Latencies = append(o.Latencies, time.Since(start))
				return begin()
			})
			return c.send(k, closeFrame)
		})
	}
	for range atOnce {
		if err := begin(); err != nil {
			return o, err
		}
	}
	var failed error
	err := c.run(func() bool {
		if now := time.Now(); watch != nil && now.After(tick) {
			tick = now.Add(time.Second)
			failed = watch()
		}
		return under == 0 || failed != nil
	})
	o.Took = time.Since(begun)
	if err == nil {
		err = failed
	}
	if err != nil {
		return o, fmt.Errorf("churn, after %d connections: %w", next, err)
	}
	return o, nil
}
