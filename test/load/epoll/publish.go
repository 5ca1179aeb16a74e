//go:build linux

package epoll

import (
	"cmp"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// A Load says how publishers publish, and how it is seen what became of that.
type Load struct {
	// Each is how many messages every publisher sends.
	Each int
	// Window is how many of them may be under way in a channel. A message is
	// under way until it is acknowledged and as much was delivered as all
	// subscribers get by it.
	Window int
	// Every is the time between two messages of a publisher, which then waits for
	// nobody. Default: none, they go as the window lets them.
	Every time.Duration
	// Alive is how often each connection says that it is there, by a Pong that nobody
	// has asked for (RFC 6455 §5.5.3): Pings are counted as all else is, and not
	// answered. Default: 10 seconds.
	Alive time.Duration
	// Ack is what the publisher gets with each acknowledgment, and Mark what the
	// subscribers get with each message: a text of which the first byte is
	// nowhere else in it, and which is once in what they get.
	Ack, Mark string
}

// A publishing is one channel of a Publish.
type publishing struct {
	publisher                        *conn
	subscribers                      int
	sent, acked, delivered, finished int
	begun                            []time.Time // Of those under way, the oldest first.
}

// Publish has the publisher of each channel publish to its subscribers, as many
// as the open connections are. Its latencies are those of the messages, until
// they are no longer under way.
func (c *Client) Publish(l Load) (Outcome, error) {
	channels, err := c.publishings(l)
	if err != nil {
		return Outcome{}, err
	}
	l.Alive = cmp.Or(l.Alive, 10*time.Second)
	p := publish{client: c, load: l, channels: channels, o: Outcome{Latencies: make([]time.Duration, 0, len(channels)*l.Each)}}
	for _, k := range c.open {
		if k != nil {
			k.on = p.listener(k)
		}
	}
	begun := time.Now()
	p.alive = begun
	err = p.begin()
	if err == nil {
		err = c.run(p.through)
	}
	if err == nil {
		err = p.failed
	}
	p.o.Took = time.Since(begun)
	for _, k := range c.open {
		if k != nil && k.request != nil {
			k.on = c.idle
		} else if k != nil {
			c.drop(k) // The clock of begin.
		}
	}
	if err != nil {
		return p.o, fmt.Errorf("publish, %d of %d are through: %w", len(p.o.Latencies), cap(p.o.Latencies), err)
	}
	return p.o, nil
}

// publishings sorts the connections by their channels.
func (c *Client) publishings(l Load) (list []publishing, err error) {
	for _, k := range c.open {
		if k == nil {
			continue
		}
		for len(list) <= k.request.Channel {
			list = append(list, publishing{})
		}
		p := &list[k.request.Channel]
		switch {
		case k.request.Publishes.Len() == 0:
			p.subscribers++
		case k.request.Publishes.Len()-k.next < l.Each:
			return nil, fmt.Errorf("publish: %d messages are prepared, of %d", k.request.Publishes.Len()-k.next, l.Each)
		default:
			p.publisher = k
		}
	}
	for i := range list {
		if list[i].publisher == nil || list[i].subscribers == 0 {
			return nil, fmt.Errorf("publish: channel %d has no publisher, or no subscriber", i)
		}
	}
	if len(list) == 0 {
		return nil, errors.New("publish: no connection is open")
	}
	return list, nil
}

// A publish is a Publish that goes on.
type publish struct {
	client   *Client
	load     Load
	channels []publishing
	o        Outcome
	alive    time.Time // When the connections said last that they are there.
	failed   error     // To say so.
}

// through reports whether nothing is under way any more, and sees to it that the
// connections stay.
func (p *publish) through() bool {
	if len(p.o.Latencies) == cap(p.o.Latencies) {
		return true
	}
	if now := time.Now(); now.Sub(p.alive) >= p.load.Alive {
		p.alive = now
		p.failed = p.client.pong()
	}
	return p.failed != nil
}

// pong has each connection say that it is there.
func (c *Client) pong() error {
	for _, k := range c.open {
		if k == nil || k.request == nil {
			continue
		}
		if err := c.send(k, pongFrame); err != nil {
			return err
		}
	}
	return nil
}

// listener counts what a connection gets.
func (p *publish) listener(k *conn) func(*conn, []byte) error {
	ch := &p.channels[k.request.Channel]
	got, counts := tally{text: []byte(p.load.Mark)}, &ch.delivered
	if ch.publisher == k {
		got, counts = tally{text: []byte(p.load.Ack)}, &ch.acked
	}
	return func(_ *conn, b []byte) error {
		if len(b) == 0 {
			return errEnded
		}
		p.o.Bytes += int64(len(b))
		n := got.count(b)
		if n == 0 {
			return nil
		}
		*counts += n
		return p.onward(ch)
	}
}

// onward notes what is no longer under way, and sends what may be.
func (p *publish) onward(ch *publishing) error {
	if through := min(ch.acked, ch.delivered/ch.subscribers, ch.sent); through > ch.finished {
		now := time.Now()
		for _, t := range ch.begun[:through-ch.finished] {
			p.o.Latencies = append(p.o.Latencies, now.Sub(t))
		}
		ch.begun = ch.begun[:copy(ch.begun, ch.begun[through-ch.finished:])]
		ch.finished = through
	}
	if p.load.Every > 0 {
		return nil
	}
	if n := min(p.load.Each-ch.sent, p.load.Window-(ch.sent-ch.finished)); n > 0 {
		return p.send(ch, n)
	}
	return nil
}

// send sends the next n messages by one write.
func (p *publish) send(ch *publishing, n int) error {
	k, now := ch.publisher, time.Now()
	for range n {
		ch.begun = append(ch.begun, now)
	}
	ch.sent += n
	k.next += n
	return p.client.send(k, k.request.Publishes.some(k.next-n, n))
}

// begin sends the first messages, or starts the clock that sends them.
func (p *publish) begin() error {
	if p.load.Every > 0 {
		return p.client.every(p.load.Every, p.tick)
	}
	for i := range p.channels {
		if err := p.onward(&p.channels[i]); err != nil {
			return err
		}
	}
	return nil
}

// tick sends a message in each channel.
func (p *publish) tick() error {
	for i := range p.channels {
		if ch := &p.channels[i]; ch.sent < p.load.Each {
			if err := p.send(ch, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// every has f called each so often. What calls it is a connection without a
// request, until that is dropped.
func (c *Client) every(d time.Duration, f func() error) error {
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("make a clock: %w", err)
	}
	each := unix.NsecToTimespec(d.Nanoseconds())
	err = unix.TimerfdSettime(fd, 0, &unix.ItimerSpec{Interval: each, Value: each}, nil)
	if err == nil {
		err = c.add(&conn{fd: fd, on: func(*conn, []byte) error { return f() }})
	}
	if err != nil {
		unix.Close(fd)
		return fmt.Errorf("start a clock: %w", err)
	}
	return nil
}
