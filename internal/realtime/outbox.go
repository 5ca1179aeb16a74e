package realtime

import (
	"slices"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

const (
	// maxQueued bounds the answers that wait for a client, in bytes. A client that
	// asks for more than it takes is read no further while calmQueued wait.
	maxQueued  = 4 << 20
	calmQueued = 512 << 10
	// writeSize is about how much is written at once.
	writeSize = 64 << 10
	// takeEntries is how much is taken from one channel before the next one has
	// its turn.
	takeEntries = 64
	// closeTime is how long a client has to answer a Close frame.
	closeTime = 3 * time.Second
)

// An outbox is what goes to one client: answers, which are queued, and what the
// cursors of its channels have, which is not. While there is something, a writer
// writes it.
type outbox struct {
	// Immutable.
	transport *transport

	// Owned by the writer.
	until time.Duration // The deadline of writes, on the server's clock.

	behind *outbox // Has its turn after this one. Guarded by the writers' mu.

	mu sync.Mutex
	// Guarded by mu.
	answers *[]byte // Of the pool answers. Nil: none.
	ready   []*channel
	spare   []*channel // What ready was before.
	writing bool
	closing bool // What is there is written, and no more is taken; then the client has its time to close.
	closed  bool
	wrote   time.Duration // When, on the server's clock.
	done    *sync.Cond    // Answers were taken, or none are any more; its lock is mu. Nil: nobody waits.
}

// begin makes an outbox ready, in which the answer to the handshake waits for what
// comes first.
func (o *outbox) begin(t *transport, answer []byte) {
	o.transport = t
	o.wrote = t.server.clockAt(time.Now())
	if len(answer) > 0 {
		o.answers = &answer
	}
}

// wait waits for what done tells. Callers hold mu.
func (o *outbox) wait() {
	if o.done == nil {
		o.done = sync.NewCond(&o.mu)
	}
	o.done.Wait()
}

// tell tells those who wait. Callers hold mu.
func (o *outbox) tell() {
	if o.done != nil {
		o.done.Broadcast()
	}
}

// answers are what answers wait in.
var answers = sync.Pool{New: func() any { return new([]byte) }}

// queued is how much waits. Callers hold mu.
func (o *outbox) queued() int {
	if o.answers == nil {
		return 0
	}
	return len(*o.answers)
}

// taken has no answers wait any more. Callers hold mu.
func (o *outbox) taken() {
	if o.answers == nil {
		return
	}
	if cap(*o.answers) <= writeSize {
		*o.answers = (*o.answers)[:0]
		answers.Put(o.answers)
	}
	o.answers = nil
	o.tell()
}

// Wake implements [hub.Waker].
func (c *channel) Wake(*hub.Attachment) {
	o := &c.transport.out
	o.mu.Lock()
	defer o.mu.Unlock()
	c.woken = true
	o.list(c)
}

// list has a channel taken from. Callers hold mu.
func (o *outbox) list(c *channel) {
	if c.woken && c.announced && !c.listed && !o.closed && !o.closing {
		c.listed = true
		o.ready = append(o.ready, c)
		o.start()
	}
}

// announce queues the frames that say how the client is attached: what comes of
// the channel comes after them, and if sync is set, first who is present.
func (o *outbox) announce(c *channel, frames []byte, sync bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue(frames)
	c.announced = true
	if sync {
		c.wanted, c.woken = true, true
	}
	o.list(c)
}

// send queues frames.
func (o *outbox) send(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue(frames)
}

// sendAs queues the frames that write appends.
func (o *outbox) sendAs(write func(b []byte) []byte) {
	buf, _ := answers.Get().(*[]byte)
	defer answers.Put(buf)
	frames := write((*buf)[:0])
	if cap(frames) <= writeSize {
		*buf = frames[:0]
	}
	o.send(frames)
}

// queue adds a copy of frames. Callers hold mu.
func (o *outbox) queue(frames []byte) {
	if o.closed || o.closing || len(frames) == 0 {
		return
	}
	if o.queued()+len(frames) > maxQueued {
		o.closed = true
		_ = o.transport.conn.Close() // The writer is stuck, and sees it.
		o.tell()
		return
	}
	if o.answers == nil {
		o.answers, _ = answers.Get().(*[]byte)
	}
	*o.answers = append(*o.answers, frames...)
	o.start()
}

// finish queues the last frames. After them the client has closeTime to close
// the connection, which its reader sees.
func (o *outbox) finish(frames []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.queue(frames)
	if !o.closed {
		o.closing = true
		o.ready = nil
		o.start()
	}
}

// calm waits while the client has yet to take much of what it has asked for. It
// is for who reads from the client.
func (o *outbox) calm() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.queued() > calmQueued && !o.closed {
		o.wait()
	}
}

// stop has nothing more written, and waits for the writer. The
// connection must be closed.
func (o *outbox) stop() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	for o.writing {
		o.wait()
	}
}

// idle is for how long nothing was written.
func (o *outbox) idle(now time.Time) time.Duration {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.writing {
		return 0
	}
	return o.transport.server.clockAt(now) - o.wrote
}

// start has somebody write. Callers hold mu.
func (o *outbox) start() {
	if !o.writing {
		o.writing = true
		o.transport.server.writers.add(o)
	}
}

// write writes until nothing is left, or the client cannot be reached.
func (o *outbox) write(d *desk) {
	broken := true
	defer func() {
		if broken {
			o.fail()
		}
	}()
	defer o.transport.caught()
	var wrote time.Time
	for o.next(d, wrote) {
		err := o.fill(d)
		if len(d.paper) > 0 {
			wrote = time.Now()
			if e := o.flush(d.paper, wrote); e != nil {
				err = e
			}
		}
		if err != nil {
			return
		}
	}
	broken = false
}

// next takes the answers, and the channels whose turn it is. Where there is
// nothing the writer is done. wrote is when it last wrote, if it did.
func (o *outbox) next(d *desk, wrote time.Time) (more bool) {
	d.clear()
	o.mu.Lock()
	defer o.mu.Unlock()
	if !wrote.IsZero() {
		o.wrote = o.transport.server.clockAt(wrote)
	}
	if o.closed || o.answers == nil && len(o.ready) == 0 {
		if o.closing && !o.closed {
			o.closed = true
			_ = o.transport.conn.SetReadDeadline(time.Now().Add(closeTime))
		}
		o.writing = false
		o.tell()
		return false
	}
	if o.answers != nil {
		d.paper = append(d.paper, *o.answers...)
		o.taken()
	}
	d.ready, o.ready = o.ready, o.spare[:0]
	o.spare = d.ready
	for _, c := range d.ready {
		c.listed, c.woken = false, false
		c.due, c.wanted = c.due || c.wanted, false
	}
	return true
}

// fill takes from the channels until there is enough to write. Those that have
// more come again.
func (o *outbox) fill(d *desk) error {
	for i, c := range d.ready {
		if len(d.paper) >= writeSize {
			o.again(d.ready[i:])
			return nil
		}
		more, err := c.take(d)
		if err != nil {
			return err
		}
		if more {
			o.again(d.ready[i : i+1])
		}
	}
	return nil
}

// again lists channels that have more.
func (o *outbox) again(list []*channel) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, c := range slices.Clone(list) {
		c.woken = true
		o.list(c)
	}
}

// flush writes b. The deadline is set anew where it is so near that the client
// would have too little time: each time costs something.
func (o *outbox) flush(b []byte, now time.Time) error {
	t := o.transport
	at, timeout := t.server.clockAt(now), t.server.o.WriteTimeout
	if o.until-at < timeout*2/3 {
		o.until = at + timeout
		_ = t.conn.SetWriteDeadline(now.Add(timeout))
	}
	_, err := t.conn.Write(b)
	return err
}

// fail ends the connection: its reader sees that.
func (o *outbox) fail() {
	_ = o.transport.conn.Close()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.writing = false
	o.tell()
}
