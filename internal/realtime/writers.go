package realtime

import (
	"runtime"
	"sync"
	"time"
)

// stuckAfter is how long the clients that are written to may hold up others.
const stuckAfter = 2 * time.Millisecond

// writers write to clients, one after the other. They are as many as run at one
// time, and rest where nobody waits: a goroutine that is new has its stack to make
// and to grow. Where all of them are stuck in writes, they count no more, until they
// are not, and as many again take their places: so a thousand clients that take
// nothing hold up others for a few ticks.
type writers struct {
	most  int // How many write, beside those that are stuck, or rest.
	timer *time.Timer
	wg    sync.WaitGroup // Of those that write or rest.
	more  sync.Cond      // One that rests is to write, or all are to end; its lock is mu.

	mu sync.Mutex
	// Guarded by mu.
	first   *outbox // Of those that wait, the oldest; each has the one behind it.
	last    *outbox
	waiting int
	resting int
	working int    // All others that there are.
	writing int    // Of these.
	stuck   int    // Of these.
	taken   uint64 // How many were taken from those that wait.
	seen    uint64 // Of these, when it was last looked.
	lost    uint64 // Whoever has one up to this is among the stuck.
	watched bool   // The timer runs.
	closed  bool
}

func newWriters() *writers {
	w := &writers{most: runtime.GOMAXPROCS(0)}
	w.more.L = &w.mu
	w.timer = time.AfterFunc(time.Hour, w.watch)
	w.timer.Stop()
	return w
}

// add has an outbox written, which is not added again before it is done. It does
// not block.
func (w *writers) add(o *outbox) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.first == nil {
		w.first = o
	} else {
		w.last.behind = o
	}
	w.last = o
	w.waiting++
	if w.working-w.stuck < w.most {
		w.begin()
	}
	if !w.watched {
		w.watched, w.seen = true, w.taken
		w.timer.Reset(stuckAfter)
	}
}

// begin has one more write. Callers hold mu.
func (w *writers) begin() {
	w.working++
	if w.resting > 0 {
		w.resting--
		w.more.Signal()
		return
	}
	w.wg.Go(w.work)
}

// close ends those that rest. Nobody may wait, or come.
func (w *writers) close() {
	w.mu.Lock()
	w.closed = true
	w.working += w.resting
	w.resting = 0
	w.more.Broadcast()
	w.mu.Unlock()
	w.wg.Wait()
}

// work writes whenever anybody waits.
func (w *writers) work() {
	d, c := new(desk), new(courtesy)
	for o, turn := w.next(0, c); o != nil; o, turn = w.next(turn, c) {
		o.write(d)
	}
}

// next returns whom to write to after a turn, once others that run have had theirs.
// It waits where nobody waits to be written to, and returns nil where one more that
// rests is too many.
func (w *writers) next(after uint64, c *courtesy) (o *outbox, turn uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if after > 0 {
		w.writing--
		if after <= w.lost {
			w.stuck--
		}
	}
	for shown := false; w.waiting == 0 || !shown; {
		if w.waiting > 0 { // It does not count as writing meanwhile, nor as stuck.
			shown = true
			w.mu.Unlock()
			c.show()
			w.mu.Lock()
			continue
		}
		w.working--
		if w.closed || w.resting >= w.most {
			return nil, 0
		}
		w.resting++
		w.more.Wait() // Whoever ends it counts again.
	}
	o = w.first
	if w.first, o.behind = o.behind, nil; w.first == nil {
		w.last = nil
	}
	w.waiting--
	w.writing++
	w.taken++
	return o, w.taken
}

// watch looks whether somebody still waits, and for whom.
func (w *writers) watch() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.watched = w.waiting > 0; !w.watched {
		return
	}
	if w.taken == w.seen {
		w.stuck, w.lost = w.writing, w.taken
		for range min(w.stuck, w.waiting) - (w.working - w.writing) { // Who has yet to begin is not stuck.
			w.begin()
		}
	}
	w.seen = w.taken
	w.timer.Reset(stuckAfter)
}
