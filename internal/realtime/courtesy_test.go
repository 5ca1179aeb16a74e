package realtime

import (
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// Who runs has its turn before a client is written to, also where a writer has just
// been woken: what it says goes with the rest.
func TestWritersLetOthersSpeakFirst(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	w := newWriters()
	w.working, w.watched = 1, true
	w.add(new(outbox))
	var spoken atomic.Bool
	go spoken.Store(true)
	if o, _ := w.next(0, new(courtesy)); o == nil || !spoken.Load() {
		t.Errorf("got %v, and others had their turn: %t; want one to write to, and true", o, spoken.Load())
	}
	if w.writing != 1 || w.waiting != 0 {
		t.Errorf("got %d that write and %d that wait, want 1 and 0", w.writing, w.waiting)
	}
}

// A writer that has waited for others does not wait again at once, whatever they do.
func TestCourtesyHasAnEnd(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var end atomic.Bool
	var turns atomic.Int64
	go func() {
		for ; !end.Load(); runtime.Gosched() {
			turns.Add(1)
			for begun := time.Now(); time.Since(begun) < 50*time.Millisecond; {
				runtime.KeepAlive(begun)
			}
		}
	}()
	defer end.Store(true)
	c := new(courtesy)
	c.show()
	before := turns.Load()
	c.show()
	if after := turns.Load(); before == 0 || after != before {
		t.Errorf("others had %d turns and then %d more, want some and then none", before, after-before)
	}
}
