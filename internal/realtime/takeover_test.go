package realtime_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// Who takes a connection over and cannot be reached then does not keep it from
// the client that had it: that is put out after a while, and comes back.
func TestTakenOverInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		a := s.connect(t, "access_token=alice", false)
		v := a.next(false)
		id, key := textOf(v, "connectionId"), textOf(v, "connectionDetails", "connectionKey")
		s.dial(t, "access_token=alice&resume="+key, false) // It reads nothing.
		time.Sleep(1999 * time.Millisecond)
		if got := a.end(); got != "" {
			t.Fatalf("got end %q before its time", got)
		}
		time.Sleep(2 * time.Millisecond)
		if got := a.end(); got != "cut" {
			t.Fatalf("got end %q, want that it is put out", got)
		}
		back := s.connect(t, "access_token=alice&resume="+key, false)
		if got := textOf(back.next(false), "connectionId"); got != id {
			t.Errorf("got connection %q, want its own, %q", got, id)
		}
	})
}
