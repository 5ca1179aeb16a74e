package usher

import (
	"bytes"
	"errors"
	"io"

	"github.com/usher-ws/usher/internal/pump"
)

// Read gives the handler what the client sent.
func (c *conn) Read(p []byte) (int, error) {
	if c.state.Load() != connOpen {
		return 0, errEnded // At once: drain may hold rmu for as long as lingerTime.
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if err := c.ready(); err != nil {
		return 0, err
	}
	n, err := c.read(p)
	if c.state.Load() != connOpen {
		return 0, errEnded
	}
	return n, err
}

// ready sees to what must be known before the handler may read. Its error is
// what the handler reads instead. Callers hold rmu.
func (c *conn) ready() error {
	var err error
	if c.late != nil && c.state.Load() == connOpen {
		err = c.late.look(c)
	}
	if c.state.Load() != connOpen {
		return errEnded
	}
	return err
}

// read is Read for those who hold rmu, in every state.
func (c *conn) read(p []byte) (int, error) {
	if len(c.early) > 0 {
		return copy(p, c.takeEarly(len(p))), nil
	}
	n, err := c.raw.Read(p)
	c.in.follow(p[:n])
	return n, err
}

// takeEarly takes up to limit of the bytes that came early, and no more than a
// lateMessage lets pass. Callers hold rmu.
func (c *conn) takeEarly(limit int) []byte {
	n := min(limit, len(c.early))
	if c.late != nil {
		n = min(n, c.late.pass)
		c.late.pass -= n
	}
	b := c.early[:n]
	if c.early = c.early[n:]; len(c.early) == 0 {
		c.early = nil
	}
	return b
}

// WriteTo copies what the client sends to w until either fails. Unlike
// [io.Copy] with Read it holds no buffer while nothing comes. Nor does it hold
// rmu while w writes, which the Guard needs should w be stuck while the
// connection ends.
func (c *conn) WriteTo(w io.Writer) (total int64, err error) {
	rd := pump.NewReader(c.raw)
	for err == nil {
		var p []byte
		if p, err = c.take(rd); err == nil {
			var n int
			n, err = w.Write(p)
			total += int64(n)
		}
		rd.Done()
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return total, err
}

// take returns what comes next, by rd or what came early.
func (c *conn) take(rd *pump.Reader) ([]byte, error) {
	if c.state.Load() != connOpen {
		return nil, errEnded // At once, as in Read.
	}
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if err := c.ready(); err != nil {
		return nil, err
	}
	if len(c.early) > 0 {
		return c.takeEarly(len(c.early)), nil
	}
	p, err := rd.Next()
	c.in.follow(p)
	if c.state.Load() != connOpen {
		return nil, errEnded
	}
	return p, err
}

// readEarly is Read for the Guard itself, before a handler has the connection.
func (c *conn) readEarly(p []byte) (int, error) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	return c.read(p)
}

// unread puts b back in front of what comes next.
func (c *conn) unread(b []byte) {
	c.rmu.Lock()
	defer c.rmu.Unlock()
	if len(b) > 0 {
		c.early = append(bytes.Clone(b), c.early...)
	}
}
