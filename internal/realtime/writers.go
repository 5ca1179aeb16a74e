package realtime

import (
	"runtime"
	"sync"
	"time"
)

// stuckAfter is how long the clients that are written to may hold up others.
const stuckAfter = 2 * time.Millisecond

// writers write to clients, one after the other. They are as many as run at one
// time: a goroutine for each client that something is for would have its stack
// to make and to grow, for every message. Where all of them are stuck in writes,
// they count no more, until they are not, and as many again take their places: so
// a thousand clients that take nothing hold up others for a few ticks.
type writers struct {
	most  int // How many write, beside those that are stuck.
	timer *time.Timer

	mu sync.Mutex
	// Guarded by mu.
	first   *outbox // Of those that wait, the oldest; each has the one behind it.
	last    *outbox
	waiting int
	working int
	stuck   int    // Of these.
	taken   uint64 // How many were taken from those that wait.
	seen    uint64 // Of these, when it was last looked.
	lost    uint64 // Whoever has one up to this is among the stuck.
	watched bool   // The timer runs.
}

func newWriters() *writers {
	w := &writers{most: runtime.GOMAXPROCS(0)}
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
	go w.work()
}

// rooms are what is written from.
var rooms = sync.Pool{New: func() any { return new([]byte) }}

// work writes as long as anybody waits.
func (w *writers) work() {
	room, _ := rooms.Get().(*[]byte)
	defer rooms.Put(room)
	for o, turn := w.next(0); o != nil; o, turn = w.next(turn) {
		*room = o.write(*room)
	}
}

// next returns whom to write to after a turn, or nil: nobody waits.
func (w *writers) next(after uint64) (o *outbox, turn uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if after > 0 && after <= w.lost {
		w.stuck--
	}
	if w.waiting == 0 {
		w.working--
		return nil, 0
	}
	o = w.first
	if w.first, o.behind = o.behind, nil; w.first == nil {
		w.last = nil
	}
	w.waiting--
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
		w.stuck, w.lost = w.working, w.taken
		for range min(w.working, w.waiting) {
			w.begin()
		}
	}
	w.seen = w.taken
	w.timer.Reset(stuckAfter)
}
