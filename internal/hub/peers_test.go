package hub_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// A street is where the hubs of several nodes live.
type street struct {
	mu    sync.Mutex
	homes map[string]func(hub.Question) hub.Answer
	mute  map[string]bool // Who is there, and does not answer.
}

type home struct {
	*street
	name string
}

var errUnanswered = errors.New("test: somebody has not answered")

func (h home) Ask(_ context.Context, q hub.Question, answer func(hub.Answer)) error {
	h.mu.Lock()
	var others []func(hub.Question) hub.Answer
	var err error
	for name, f := range h.homes {
		switch {
		case name == h.name:
		case h.mute[name]:
			err = errUnanswered
		default:
			others = append(others, f)
		}
	}
	h.mu.Unlock()
	for _, f := range others {
		answer(f(q))
	}
	return err
}

func (h home) Serve(f func(hub.Question) hub.Answer) (func(), error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.homes[h.name] = f
	return func() { h.leave() }, nil
}

func (h home) leave() {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.homes, h.name)
}

// count has the questions that are answered counted.
func (s *street) count() (questions func() int64) {
	n := new(atomic.Int64)
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, f := range s.homes {
		s.homes[name] = func(q hub.Question) hub.Answer {
			n.Add(1)
			return f(q)
		}
	}
	return n.Load
}

// change changes what a node answers.
func (h home) change(f func(hub.Question, hub.Answer) hub.Answer) {
	h.mu.Lock()
	defer h.mu.Unlock()
	answers := h.homes[h.name]
	h.homes[h.name] = func(q hub.Question) hub.Answer { return f(q, answers(q)) }
}

func (s *street) setMute(name string, mute bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mute[name] = mute
}

// neighbors returns an app on each of several nodes, over one log.
func neighbors(t *testing.T, n int) ([]*hub.App, []home) {
	t.Helper()
	l := new(hub.MemoryLog)
	s := &street{homes: map[string]func(hub.Question) hub.Answer{}, mute: map[string]bool{}}
	var apps []*hub.App
	var homes []home
	for i := range n {
		h := hub.New(l, hub.Options{})
		t.Cleanup(h.Close)
		at := home{s, fmt.Sprint(i)}
		if err := h.Join(at); err != nil {
			t.Fatal(err)
		}
		apps = append(apps, h.SetApp("app", hub.AppOptions{}))
		homes = append(homes, at)
	}
	return apps, homes
}

func TestNodesSeeEachOthersMembers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, _ := neighbors(t, 2)
		one := connect(t, apps[0])
		attach(t, one, "chat", hub.Attaching{})
		wantError(t, present(one, "chat", one.ID()+":0", hub.Enter, "a", "b"), nil)
		time.Sleep(time.Hour) // The log has forgotten that they came.
		two := connect(t, apps[1])
		seen := attach(t, two, "chat", hub.Attaching{Occupancy: true})
		if len(seen.Present()) != 2 {
			t.Errorf("got %d members at an attach on another node, want 2", len(seen.Present()))
		}
		wantError(t, present(one, "chat", one.ID()+":1", hub.Leave, "a"), nil)
		wantError(t, present(two, "chat", two.ID()+":0", hub.Enter, "c"), nil)
		for i, a := range apps {
			if got := members(t, a, "chat"); got != "b b's, c c's" {
				t.Errorf("node %d: got members %q", i, got)
			}
			o, active, err := a.Occupied(t.Context(), "chat")
			if want := (hub.Occupancy{Connections: 2, Publishers: 2, Subscribers: 2, PresenceConnections: 2, PresenceMembers: 2, PresenceSubscribers: 2}); o != want || !active || err != nil {
				t.Errorf("node %d: got %+v, %t, %v", i, o, active, err)
			}
		}
		attach(t, one, "other", hub.Attaching{})
		if o, active, err := apps[1].Occupied(t.Context(), "other"); o.Connections != 1 || !active || err != nil {
			t.Errorf("got %+v, %t, %v of a channel that only another node uses", o, active, err)
		}
		if list, err := apps[1].Channels(t.Context(), "", "", 10); fmt.Sprint(namesOf(list)) != "[chat other]" || err != nil {
			t.Errorf("got channels %v and %v", list, err)
		}
		time.Sleep(5 * time.Second)
		if o := seen.TakeOccupancy(); o == nil || o.Connections != 2 || o.PresenceMembers != 2 {
			t.Errorf("was told %+v, want both nodes' sum", o)
		}
	})
}

// A node that dies says nothing: the others have its members leave, once.
func TestMembersOfDeadNodesLeave(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, homes := neighbors(t, 3)
		one := connect(t, apps[0])
		attach(t, one, "chat", hub.Attaching{})
		wantError(t, present(one, "chat", one.ID()+":0", hub.Enter, "a"), nil)
		var seen []*reader
		for _, a := range apps[1:] {
			seen = append(seen, attach(t, connect(t, a), "chat", hub.Attaching{}))
		}
		time.Sleep(time.Minute)
		homes[0].leave()
		time.Sleep(10 * time.Second)
		for i, r := range seen {
			if list := r.now(t); len(list) != 0 {
				t.Errorf("node %d: got %v too soon", i+1, events(list))
			}
		}
		time.Sleep(10 * time.Second)
		for i, r := range seen {
			if got := fmt.Sprint(events(r.now(t))); got != "[3 a a's]" {
				t.Errorf("node %d: got %s, want that a left, once", i+1, got)
			}
			if got := members(t, apps[i+1], "chat"); got != "" {
				t.Errorf("node %d: got members %q", i+1, got)
			}
		}
	})
}

// Who is present on a node that does not answer is told as soon as it does; and
// as long as it is there it is not dead.
func TestNodeAnswersLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, homes := neighbors(t, 2)
		one := connect(t, apps[0])
		attach(t, one, "chat", hub.Attaching{})
		wantError(t, present(one, "chat", one.ID()+":0", hub.Enter, "a"), nil)
		homes[0].setMute("0", true)
		late := attach(t, connect(t, apps[1]), "chat", hub.Attaching{})
		if len(late.Present()) != 0 {
			t.Errorf("got %d members of a node that does not answer", len(late.Present()))
		}
		time.Sleep(time.Minute)
		homes[0].setMute("0", false)
		time.Sleep(5 * time.Second)
		late.now(t)
		if list, news := late.TakeMembers(); !news || len(list) != 1 {
			t.Errorf("got %d members and news %t, want the one", len(list), news)
		}
		if _, news := late.TakeMembers(); news {
			t.Error("got news twice")
		}
		time.Sleep(time.Minute)
		if got := members(t, apps[1], "chat"); got != "a a's" {
			t.Errorf("got members %q", got)
		}
	})
}
