package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

// newApp returns an app on a hub of its own, over a log in memory.
func newApp(t *testing.T, o hub.AppOptions) *hub.App {
	t.Helper()
	return newAppOver(t, new(hub.MemoryLog), o)
}

func newAppOver(t *testing.T, l hub.Log, o hub.AppOptions) *hub.App {
	t.Helper()
	h := hub.New(l, hub.Options{})
	t.Cleanup(h.Close)
	return h.SetApp("app", o)
}

// A reader reads from one attachment. It is its Waker.
type reader struct {
	*hub.Attachment
	connection *hub.Connection
	woken      chan struct{}
}

func (r *reader) Wake(*hub.Attachment) {
	select {
	case r.woken <- struct{}{}:
	default:
	}
}

const everything = hub.Publish | hub.Subscribe | hub.BePresent | hub.SeePresence

func connect(t *testing.T, a *hub.App) *hub.Connection {
	t.Helper()
	c, err := a.Connect(hub.Owner{})
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(c.Close)
	return c
}

func attach(t *testing.T, c *hub.Connection, name string, o hub.Attaching) *reader {
	t.Helper()
	r := &reader{connection: c, woken: make(chan struct{}, 1)}
	o.Waker, o.Stay = r, c.Stay()
	if o.Modes == 0 {
		o.Modes = everything
	}
	a, err := c.Attach(t.Context(), name, o)
	if err != nil {
		t.Fatalf("attach: %v", err)
	}
	r.Attachment = a
	return r
}

// now returns what there is to take.
func (r *reader) now(t *testing.T) []*hub.Entry {
	t.Helper()
	var list []*hub.Entry
	for {
		n := len(list)
		var err error
		if list, err = r.Take(t.Context(), list, 3); err != nil {
			t.Fatalf("take: %v", err)
		}
		if len(list) == n {
			return list
		}
	}
}

func (r *reader) texts(t *testing.T) string {
	t.Helper()
	return fmt.Sprint(hubtest.Texts(r.now(t)))
}

// publish publishes texts, each by itself, and returns the last position.
func publish(t *testing.T, c *hub.Connection, name string, texts ...string) (last hub.Position) {
	t.Helper()
	for _, text := range texts {
		p := hub.Publication{Channel: name, Base: "base" + text, Messages: []hub.Message{{Data: text, Form: hub.Text}}}
		if err := c.Publish(p, func(at hub.Position, err error) {
			if err != nil {
				t.Errorf("publish: %v", err)
			}
			last = at
		}); err != nil {
			t.Fatalf("publish: %v", err)
		}
	}
	return last
}

// present enters, updates or leaves, and returns the error that the log or the
// hub had.
func present(c *hub.Connection, name, base string, action hub.Action, clients ...string) (err error) {
	var list []hub.Message
	for _, client := range clients {
		list = append(list, hub.Message{ClientID: client, Action: action, Data: client + "'s", Form: hub.Text})
	}
	if e := c.Present(name, base, list, func(_ hub.Position, e error) { err = e }); e != nil {
		return e
	}
	return err
}

// events describes presence events.
func events(list []*hub.Entry) (out []string) {
	for _, e := range list {
		for i := range e.Messages {
			m := &e.Messages[i]
			out = append(out, fmt.Sprintf("%d %s %s", m.Action, m.ClientID, m.Data))
		}
	}
	return out
}

// A faultyLog fails when told to.
type faultyLog struct {
	hub.MemoryLog
	down atomic.Bool
}

var errDown = fmt.Errorf("test: %w", hub.ErrUnavailable)

func (l *faultyLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	if l.down.Load() {
		then(0, errDown)
		return
	}
	l.MemoryLog.Append(e, then)
}

func (l *faultyLog) Follow(ctx context.Context, n hub.Name, f func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	if l.down.Load() {
		return 0, nil, errDown
	}
	return l.MemoryLog.Follow(ctx, n, f, lost)
}

func wantError(t *testing.T, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
