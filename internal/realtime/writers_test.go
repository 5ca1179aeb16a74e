package realtime

import (
	"testing"
	"testing/synctest"
)

// A writer that has yet to begin is not taken for one that is stuck: more would be
// made without end on a machine that is busy.
func TestWritersThatHaveYetToBegin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWriters()
		defer w.close()
		w.working, w.waiting, w.watched = w.most, 1, true // None of them writes.
		w.watch()
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.stuck != 0 || w.working != w.most {
			t.Errorf("got %d of %d stuck, want none of %d", w.stuck, w.working, w.most)
		}
		w.working, w.waiting = 0, 0
		w.timer.Stop()
	})
}
