package hub_test

import (
	"context"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// A slowLog has whoever opens a channel wait until it is let go.
type slowLog struct {
	hub.MemoryLog

	waits, goes chan struct{}
}

func (l *slowLog) Follow(ctx context.Context, n hub.Name, f func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	select {
	case l.waits <- struct{}{}:
	default:
	}
	<-l.goes
	return l.MemoryLog.Follow(ctx, n, f, lost)
}

// An attach that is under way as its transport is lost does not take the place of
// that of the next transport, nor does a detach.
func TestStay(t *testing.T) {
	l := &slowLog{waits: make(chan struct{}, 1), goes: make(chan struct{})}
	a := newAppOver(t, l, hub.AppOptions{})
	c := connect(t, a)
	stale := make(chan error)
	go func() {
		_, err := c.Attach(t.Context(), "chat", hub.Attaching{Modes: everything, Waker: &reader{woken: make(chan struct{}, 1)}})
		stale <- err
	}()
	<-l.waits
	c.Lose(time.Minute)
	if err := c.Return(); err != nil {
		t.Fatal(err)
	}
	close(l.goes)
	fresh := attach(t, c, "chat", hub.Attaching{})
	wantError(t, <-stale, hub.ErrLost)
	_, err := c.Attach(t.Context(), "other", hub.Attaching{})
	wantError(t, err, hub.ErrLost)
	publish(t, c, "chat", "x")
	if got := fresh.texts(t); got != "[x]" {
		t.Errorf("got %s, want what was published", got)
	}
	again := attach(t, c, "chat", hub.Attaching{})
	c.Detach(fresh.Attachment)
	publish(t, c, "chat", "y")
	if got := again.texts(t); got != "[y]" || c.Attachment("chat") != again.Attachment {
		t.Errorf("got %s and attachment %p after the older one was detached, want the newer", got, c.Attachment("chat"))
	}
}
