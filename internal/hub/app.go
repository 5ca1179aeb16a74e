package hub

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// An App is the channels and connections of one application, which shares them
// with no other.
type App struct {
	// Immutable.
	hub *Hub
	id  string

	options atomic.Pointer[AppOptions]
	rate    rate
	counts  counts

	mu sync.Mutex
	// Guarded by mu.
	channels    map[string]*channel
	keys        map[string]*rate
	spare       int // How many channels nobody holds.
	connections int
	owners      owners // Of connections.
	ended       bool
}

// maxKeys bounds how many keys' rates are known at a time: the hub is told of
// keys that exist only.
const maxKeys = 1 << 16

func newApp(h *Hub, id string) *App {
	return &App{hub: h, id: id, channels: make(map[string]*channel), keys: make(map[string]*rate), owners: make(owners)}
}

// ID is its id.
func (a *App) ID() string { return a.id }

// Limits are what its clients are bound by.
func (a *App) Limits() Limits { return a.options.Load().Limits }

// channel returns the channel and holds it until release is called, once, by
// the channel's own release.
func (a *App) channel(name string) (*channel, error) {
	c, gone, err := a.find(name)
	if gone != nil {
		gone.end()
	}
	return c, err
}

// find is channel. Where there are as many as there may be, one that nobody
// holds gives way, gone, which is to be ended.
func (a *App) find(name string) (c, gone *channel, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended {
		return nil, nil, ErrClosed
	}
	c = a.channels[name]
	if c == nil {
		if exceeds(len(a.channels)+1, a.Limits().AllChannels) {
			if gone = a.yield(); gone == nil {
				return nil, nil, ErrAllChannels
			}
		}
		c = newChannel(a, name)
		a.channels[name] = c
		a.spare++
	}
	c.hold()
	return c, gone, nil
}

// yield lets go of a channel that nobody holds, if there is one: any of them,
// since whoever fills the app with channels has the most there. Callers hold mu.
func (a *App) yield() *channel {
	if a.spare == 0 {
		return nil
	}
	for _, c := range a.channels {
		if c.holders == 0 {
			a.drop(c)
			return c
		}
	}
	return nil
}

// drop forgets a channel that nobody holds. Callers hold mu.
func (a *App) drop(c *channel) {
	delete(a.channels, c.name.Channel)
	a.spare--
	c.in.gone.Store(true)
}

// hold holds a channel until release. Callers hold the app's mu.
func (c *channel) hold() {
	if c.holders == 0 {
		c.app.spare--
	}
	c.holders++
}

// known returns the channel to look at, or nil where this node has none. To look
// is not to use it: it may be let go of meanwhile.
func (a *App) known(name string) *channel {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.channels[name]
}

// opened is channel, and the channel follows its log.
func (a *App) opened(ctx context.Context, name string) (*channel, error) {
	c, err := a.channel(name)
	if err != nil {
		return nil, err
	}
	if err := c.open(ctx); err != nil {
		c.release()
		return nil, err
	}
	return c, nil
}

// release is called by who has got c by channel, and needs it no more.
func (c *channel) release() {
	a := c.app
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.holders--; c.holders == 0 {
		a.spare++
		c.idle = time.Now()
	}
}

// sweep lets go of channels.
func (a *App) sweep(now time.Time) {
	a.mu.Lock()
	var gone, others []*channel
	for _, c := range a.channels {
		switch idle := now.Sub(c.unused()); {
		case c.holders > 0:
			others = append(others, c)
		case !c.isOpen() && idle > sweepEvery, idle > a.hub.linger:
			a.drop(c)
			gone = append(gone, c)
		default:
			others = append(others, c)
		}
	}
	a.mu.Unlock()
	for _, c := range gone {
		c.end()
	}
	for _, c := range others {
		c.expire(now)
	}
}

func (a *App) end() {
	a.mu.Lock()
	a.ended = true
	channels := a.channels
	a.channels, a.spare = make(map[string]*channel), 0
	a.mu.Unlock()
	for _, c := range channels {
		c.in.gone.Store(true)
		c.end()
	}
}

// keyRate is the rate of a key.
func (a *App) keyRate(key string) *rate {
	a.mu.Lock()
	defer a.mu.Unlock()
	r := a.keys[key]
	if r == nil {
		if len(a.keys) >= maxKeys {
			clear(a.keys)
		}
		r = new(rate)
		a.keys[key] = r
	}
	return r
}
