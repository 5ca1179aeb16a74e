package hub

import (
	"crypto/rand"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Options say how a hub works.
type Options struct {
	// Linger is how long a channel that nobody uses is remembered, so that those
	// who come back find it: at least as long as a client may take to resume.
	// Default: 2 minutes and 10 seconds.
	Linger time.Duration
	// Log is told of faults. Default: slog.Default().
	Log *slog.Logger
}

// A Hub is the channels of all apps on this node.
type Hub struct {
	// Immutable.
	log     Log
	logger  *slog.Logger
	linger  time.Duration
	node    string // What the ids of its connections begin with.
	peers   peers
	unserve func()
	stop    chan struct{}
	wg      sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	apps   map[string]*App
	gone   Counts // Of apps that are no more.
	closed bool
	owed   []*Entry // Leaves that the log did not take.
}

// sweepEvery is how often it is looked for what is over.
const sweepEvery = time.Second

// maxOwed bounds how many leaves wait for a log that is out of reach. Those
// beyond it are lost: their members stay until the process ends.
const maxOwed = 1 << 16

// New returns a hub over a log. After it, Close must be called.
func New(log Log, o Options) *Hub {
	if o.Linger <= 0 {
		o.Linger = 2*time.Minute + 10*time.Second
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	h := &Hub{
		log: log, logger: o.Log, linger: o.Linger, node: rand.Text()[:nodeSize],
		stop: make(chan struct{}), apps: make(map[string]*App),
	}
	h.wg.Go(h.sweep)
	return h
}

// Join makes the hub one of several over the same log. It is called once, before
// anybody connects.
func (h *Hub) Join(p Peers) error {
	h.peers.Peers, h.peers.heard = p, make(map[string]time.Time)
	var err error
	if h.unserve, err = p.Serve(h.answer); err != nil {
		return fmt.Errorf("serve other nodes: %w", err)
	}
	h.wg.Go(h.watchPeers)
	return nil
}

// Close ends what New has started, and every channel. Connections should be
// closed before.
func (h *Hub) Close() {
	h.mu.Lock()
	if h.closed {
		h.mu.Unlock()
		return
	}
	h.closed = true
	h.mu.Unlock()
	close(h.stop)
	h.wg.Wait()
	if h.unserve != nil {
		h.unserve()
	}
	for _, a := range h.all() {
		a.end()
	}
}

// App returns the app with this id, or nil.
func (h *Hub) App(id string) *App {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.apps[id]
}

// SetApp makes an app, or changes one: what has begun goes on as it was.
func (h *Hub) SetApp(id string, o AppOptions) *App {
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.apps[id]
	if a == nil {
		a = newApp(h, id)
		h.apps[id] = a
	}
	o.Limits = o.Limits.complete()
	a.options.Store(&o)
	return a
}

// RemoveApp forgets an app. Its connections should be closed.
func (h *Hub) RemoveApp(id string) {
	h.mu.Lock()
	a := h.apps[id]
	delete(h.apps, id)
	if a != nil {
		n := a.Counts()
		n.Connections, n.Channels = 0, 0
		h.gone = h.gone.plus(n)
	}
	h.mu.Unlock()
	if a != nil {
		a.end()
	}
}

func (h *Hub) all() []*App {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := make([]*App, 0, len(h.apps))
	for _, a := range h.apps {
		list = append(list, a)
	}
	return list
}

// sweep lets go of channels that nobody uses, and tells the log what it did not
// take before.
func (h *Hub) sweep() {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	for {
		select {
		case <-h.stop:
			return
		case now := <-tick.C:
			for _, a := range h.all() {
				a.sweep(now)
			}
			h.pay()
		}
	}
}

// owe keeps a leave that the log did not take.
func (h *Hub) owe(e *Entry) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.owed) < maxOwed {
		h.owed = append(h.owed, e)
	}
}

func (h *Hub) pay() {
	h.mu.Lock()
	owed := h.owed
	h.owed = nil
	h.mu.Unlock()
	for _, e := range owed {
		h.append(e)
	}
}

// append appends a leave of the hub's own.
func (h *Hub) append(e *Entry) {
	h.log.Append(e, func(_ Position, err error) {
		if err != nil {
			h.owe(e)
		}
	})
}
