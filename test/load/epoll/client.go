//go:build linux

// Package epoll is a client that makes many WebSocket connections from one
// thread, with the least work that one can do for them: requests are prepared
// beforehand, answers are counted and not parsed, there is no goroutine and no
// buffer for a connection, and the system calls are the kernel's own. So what
// is measured is the server. It checks nothing but that an answer is a 101 and
// that bytes come back, and is not a client for anything else.
package epoll

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// stalled is how long nothing may happen before a run is given up.
const stalled = 20 * time.Second

// A Client has connections to one address. It must be used by one goroutine.
type Client struct {
	to    unix.SockaddrInet4
	poll  int
	open  []*conn // By file descriptor; nil where there is none of ours.
	live  int
	ready []unix.EpollEvent
	in    []byte // What was read last; shared, since one connection is served at a time.
	lost  int
	why   error // How the one ended that was lost last.
}

// A conn is one connection.
type conn struct {
	fd      int
	begun   time.Time
	request *Request
	head    []byte // Of an answer that came in pieces; nil otherwise.
	out     []byte // What the socket did not take yet.
	on      func(*conn, []byte) error
	want    []question // What is asked and not answered yet, the oldest first.
	got     int        // Bytes of the oldest one's answer.
	next    int        // How many of its publishes were sent.
	failed  error      // What a read has failed with.
}

// A Request opens a connection.
type Request struct {
	// Handshake is the head of the request, with its empty line.
	Handshake []byte
	// Greeted says that the server speaks first, by one frame.
	Greeted bool
	// Messages are sent after the 101: whole frames, masked, each after the one
	// before was answered. The connection is open when all are. Default: none.
	Messages [][]byte
	// Channel is where the connection belongs to in a Publish, from 0 on.
	Channel int
	// Publishes are what it then sends, in order. One without is a subscriber.
	Publishes Frames
}

// An Outcome says what was done.
type Outcome struct {
	// Took is the time from the first system call to the last answer.
	Took time.Duration
	// Latencies has one time for each operation.
	Latencies []time.Duration
	// Bytes is what came back, in all.
	Bytes int64
}

// New returns a client of a server on an IPv4 address.
func New(to netip.AddrPort) (*Client, error) {
	if !to.Addr().Is4() {
		return nil, fmt.Errorf("epoll client: %v is not an IPv4 address", to)
	}
	poll, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("epoll client: create: %w", err)
	}
	return &Client{
		to: unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}, poll: poll,
		ready: make([]unix.EpollEvent, 256), in: make([]byte, 256<<10),
	}, nil
}

// Close resets all connections and lets the client go.
func (c *Client) Close() {
	for _, k := range c.open {
		if k != nil {
			c.drop(k)
		}
	}
	unix.Close(c.poll)
}

// Live returns how many connections are open.
func (c *Client) Live() int { return c.live }

// Lost returns how many connections their server has ended unasked.
func (c *Client) Lost() int { return c.lost }

// Why returns how the one ended that was lost last, or nil.
func (c *Client) Why() error { return c.why }

// dial begins a connection. on is called with what it reads, and with nothing at
// its end.
func (c *Client) dial(on func(*conn, []byte) error) (*conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("make a socket: %w", err)
	}
	k := &conn{fd: fd, on: on}
	// Closing resets: no port is kept in TIME_WAIT.
	err = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	if err == nil {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	}
	if err == nil {
		err = unix.Connect(fd, &c.to)
	}
	if err == nil || errors.Is(err, unix.EINPROGRESS) {
		err = c.add(k)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("connect: %w", err)
	}
	return k, nil
}

// add has a connection served.
func (c *Client) add(k *conn) error {
	if err := unix.EpollCtl(c.poll, unix.EPOLL_CTL_ADD, k.fd, &unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(k.fd)}); err != nil {
		return err
	}
	for len(c.open) <= k.fd {
		c.open = append(c.open, nil)
	}
	c.open[k.fd] = k
	c.live++
	return nil
}

// drop resets a connection.
func (c *Client) drop(k *conn) {
	if c.open[k.fd] != k {
		return
	}
	c.open[k.fd] = nil
	c.live--
	unix.Close(k.fd)
}

// send writes, or keeps what the socket does not take until it does. What is
// given must not change before it is written.
func (c *Client) send(k *conn, p []byte) error {
	if len(k.out) > 0 {
		k.out = append(k.out[:len(k.out):len(k.out)], p...)
		return nil
	}
	n, err := write(k.fd, p)
	if err != nil && !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.ENOTCONN) {
		return fmt.Errorf("write: %w", err)
	}
	if n = max(n, 0); n < len(p) {
		k.out = p[n:]
		return c.watch(k, unix.EPOLLIN|unix.EPOLLOUT)
	}
	return nil
}

func (c *Client) watch(k *conn, events uint32) error {
	return unix.EpollCtl(c.poll, unix.EPOLL_CTL_MOD, k.fd, &unix.EpollEvent{Events: events, Fd: int32(k.fd)})
}

// errEnded: the server has closed the connection.
var errEnded = errors.New("the server has closed the connection")

// run serves the connections until done says so, or nothing happens any more.
func (c *Client) run(done func() bool) error {
	last := time.Now()
	for !done() {
		n, err := c.wait()
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return fmt.Errorf("wait: %w", err)
		}
		now := time.Now()
		if n == 0 && now.Sub(last) > stalled {
			return fmt.Errorf("nothing came for %v, with %d connections open", stalled, c.live)
		}
		if n > 0 {
			last = now
		}
		for i := range n {
			k := c.open[c.ready[i].Fd]
			if k == nil {
				continue
			}
			if err := c.serve(k, c.ready[i].Events); err != nil {
				return err
			}
		}
	}
	return nil
}

// serve does what a socket is ready for. One read is enough: what is left makes
// it ready again.
func (c *Client) serve(k *conn, events uint32) error {
	if events&unix.EPOLLOUT != 0 && len(k.out) > 0 {
		rest := k.out
		k.out = nil
		if err := c.watch(k, unix.EPOLLIN); err != nil {
			return err
		}
		if err := c.send(k, rest); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT == 0 {
		return nil
	}
	n, err := read(k.fd, c.in)
	switch {
	case errors.Is(err, unix.EAGAIN):
		return nil
	case err != nil:
		k.failed = err
		return k.on(k, nil)
	}
	return k.on(k, c.in[:n])
}
