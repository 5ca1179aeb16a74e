package hub

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"time"
)

// A Connection is one client of an app, for as long as it goes on: also across
// the transports that carry it. Its methods may be called by many goroutines at
// once, but what is published by one is in order.
type Connection struct {
	// Immutable.
	app *App
	id  string
	key *rate

	// Guarded by the app's mu.
	owner Owner

	rate     rate
	attaches rate
	last     atomic.Pointer[entrance] // Of the channel that it has published to last.

	// turn is held while it is noted who is present and the log is told of it, so
	// that both are in one order: Append does not wait for I/O.
	turn sync.Mutex

	mu sync.Mutex
	// Guarded by mu.
	attached attachments
	present  map[*channel]*notes
	grace    *time.Timer // Runs while it is lost, for the last of losses.
	losses   int         // How often it was lost, which tells its stays apart.
	closed   bool
}

// Connect makes a connection. Its rate counts for the owner's key. It must be
// closed.
func (a *App) Connect(o Owner) (*Connection, error) {
	c := &Connection{app: a, id: a.hub.node + rand.Text()[:10], key: a.keyRate(o.Key), owner: o}
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.ended:
		return nil, ErrClosed
	case exceeds(a.connections+1, a.Limits().Connections):
		return nil, ErrConnections
	}
	if err := a.owners.add(o, a.Limits()); err != nil {
		return nil, err
	}
	a.connections++
	a.counts.opened.Add(1)
	return c, nil
}

// ID is its id: letters and digits.
func (c *Connection) ID() string { return c.id }

// Attach attaches to a channel. One that it is attached to it leaves first,
// without its members.
func (c *Connection) Attach(ctx context.Context, name string, o Attaching) (*Attachment, error) {
	if err := c.mayAttach(name, o.Stay); err != nil {
		return nil, err
	}
	ch, err := c.app.opened(ctx, name)
	if err != nil {
		return nil, err
	}
	a, err := ch.attach(ctx, c, o)
	if err != nil {
		ch.release()
		return nil, err
	}
	c.mu.Lock()
	if err := c.stays(o.Stay); err != nil {
		c.mu.Unlock()
		a.leave()
		return nil, err
	}
	old := c.attached.add(a)
	c.mu.Unlock()
	if old != nil {
		old.leave()
	}
	return a, nil
}

// stays reports whether a stay goes on. Callers hold mu.
func (c *Connection) stays(stay int) error {
	switch {
	case c.closed:
		return ErrClosed
	case c.losses != stay:
		return ErrLost
	}
	return nil
}

func (c *Connection) mayAttach(name string, stay int) error {
	limits := c.app.Limits()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.stays(stay); err != nil {
		return err
	}
	switch {
	case c.attached.to(name) == nil && exceeds(len(c.attached)+1, limits.Channels):
		return ErrChannels
	case limits.AttachRate <= 0:
		return nil
	}
	// Who comes back attaches to all that it had.
	each := time.Second / time.Duration(limits.AttachRate)
	if !c.attaches.spend(time.Now(), 1, each, max(2*time.Second, time.Duration(limits.Channels)*each)) {
		return ErrAttachRate
	}
	return nil
}

// leave detaches, and lets go of the channel.
func (a *Attachment) leave() {
	if a.detach() {
		a.channel.release()
	}
}

// Attachment returns that to a channel, or nil.
func (c *Connection) Attachment(name string) *Attachment {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attached.to(name)
}

// Detach detaches from a channel, which its members leave. Where another
// attachment is in the place of a by now, it does nothing.
func (c *Connection) Detach(a *Attachment) {
	c.mu.Lock()
	is := c.attached.remove(a)
	c.mu.Unlock()
	if is {
		c.absent(a.channel)
		a.leave()
	}
}

// Stay is the stay of the transport that there is, for [Attaching].
func (c *Connection) Stay() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.losses
}

// Lose says that the transport has gone, which ends its stay. All attachments
// end, those too that are only on their way; the members leave unless Return comes
// within grace.
func (c *Connection) Lose(grace time.Duration) {
	c.mu.Lock()
	attached := c.attached
	c.attached = nil
	if !c.closed {
		if c.grace != nil {
			c.grace.Stop()
		}
		c.losses++
		n := c.losses
		c.grace = time.AfterFunc(grace, func() {
			if c.stillLost(n) {
				c.absentEverywhere()
			}
		})
	}
	c.mu.Unlock()
	for _, a := range attached {
		a.leave()
	}
}

// stillLost reports whether nothing came after the nth loss.
func (c *Connection) stillLost(n int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.grace != nil && c.losses == n
}

// Return says that there is a transport again.
func (c *Connection) Return() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return ErrClosed
	}
	if c.grace != nil {
		c.grace.Stop()
		c.grace = nil
	}
	return nil
}

// Close ends the connection. Its members leave.
func (c *Connection) Close() {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	c.closed = true
	attached := c.attached
	c.attached = nil
	if c.grace != nil {
		c.grace.Stop()
	}
	c.mu.Unlock()
	c.absentEverywhere()
	for _, a := range attached {
		a.leave()
	}
	c.app.mu.Lock()
	c.app.connections--
	c.app.owners.remove(c.owner)
	c.app.mu.Unlock()
}
