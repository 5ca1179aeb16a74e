package hub

import (
	"sync/atomic"
	"time"
)

// An entrance is what publishing to a channel needs of it. A connection remembers
// the one that it has used last, which does not hold the channel, nor keep it in
// memory.
type entrance struct {
	name Name
	rate rate
	memo atomic.Pointer[memoryPlace]
	used atomic.Int64 // When it was used last, in milliseconds since 1970.
	gone atomic.Bool  // The channel is not the app's any more.
}

// entrance returns that of a channel of the connection's app.
func (c *Connection) entrance(channel string) (*entrance, error) {
	if in := c.last.Load(); in != nil && in.name.Channel == channel && !in.gone.Load() {
		return in, nil
	}
	ch, err := c.app.channel(channel)
	if err != nil {
		return nil, err
	}
	defer ch.release()
	c.last.Store(ch.in)
	return ch.in, nil
}

// unused is since when nobody has held or published to the channel. Callers hold
// the app's mu.
func (c *channel) unused() time.Time {
	if used := time.UnixMilli(c.in.used.Load()); used.After(c.idle) {
		return used
	}
	return c.idle
}
