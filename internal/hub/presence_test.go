package hub_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

func members(t *testing.T, a *hub.App, name string) string {
	t.Helper()
	list, err := a.Members(t.Context(), name)
	if err != nil {
		t.Fatalf("members: %v", err)
	}
	var out []string
	for _, m := range list {
		out = append(out, fmt.Sprintf("%s %s", m.ClientID, m.Data))
	}
	slices.Sort(out)
	return strings.Join(out, ", ")
}

func TestPresence(t *testing.T) {
	a := newApp(t, hub.AppOptions{})
	one := connect(t, a)
	own := attach(t, one, "chat", hub.Attaching{Modes: hub.BePresent})
	seen := attach(t, connect(t, a), "chat", hub.Attaching{})
	for _, step := range []struct {
		base   string
		action hub.Action
		client string
		want   string
	}{
		{one.ID() + ":0", hub.Enter, "me", "me me's"},
		{one.ID() + ":1", hub.Update, "you", "me me's, you you's"},
		{one.ID() + ":2", hub.Update, "me", "me me's, you you's"},
		{one.ID() + ":3", hub.Leave, "nobody", "me me's, you you's"},
		{one.ID() + ":4", hub.Leave, "me", "you you's"},
	} {
		if err := present(one, "chat", step.base, step.action, step.client); err != nil {
			t.Fatal(err)
		}
		if got := members(t, a, "chat"); got != step.want {
			t.Errorf("after %s: got %q, want %q", step.base, got, step.want)
		}
	}
	late := attach(t, connect(t, a), "chat", hub.Attaching{})
	if len(late.Present()) != 1 || late.Present()[0].ClientID != "you" || late.Present()[0].ID != one.ID()+":1:0" {
		t.Errorf("got %d members at an attach, want you", len(late.Present()))
	}
	list := seen.now(t)
	want := "[2 me me's 3 you you's 3 me me's 4 me me's]"
	want = strings.NewReplacer("2 me", "1 me", "3 you", "2 you", "3 me", "2 me", "4 me", "3 me").Replace(want)
	if got := fmt.Sprint(events(list)); got != want {
		t.Errorf("got events %s, want %s", got, want)
	}
	if got := own.now(t); len(got) != len(list) {
		t.Errorf("got %d of its own events, want %d", len(got), len(list))
	}
	one.Detach(one.Attachment("chat"))
	left := seen.now(t)
	if got := fmt.Sprint(events(left)); got != "[3 you you's]" {
		t.Fatalf("got %s after a detach, want that you left", got)
	}
	if id := left[0].Messages[0].ID; strings.HasPrefix(id, one.ID()) {
		t.Errorf("got id %s of a leave that nobody sent, want one that does not begin with the connection's", id)
	}
	wantError(t, present(one, "chat", one.ID()+":5", hub.Enter, "me"), hub.ErrNotAttached)
}

func TestGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		c := connect(t, a)
		enter := func(base string) {
			t.Helper()
			attach(t, c, "chat", hub.Attaching{})
			list := []hub.Message{{ClientID: "me", Action: hub.Enter, ID: c.ID() + ":0:0"}}
			if err := c.Present("chat", base, list, func(hub.Position, error) {}); err != nil {
				t.Fatal(err)
			}
		}
		seen := attach(t, connect(t, a), "chat", hub.Attaching{})
		enter(c.ID() + ":0")
		c.Lose(15 * time.Second)
		time.Sleep(14 * time.Second)
		if err := c.Return(); err != nil {
			t.Fatal(err)
		}
		enter(c.ID() + ":1") // As clients do, with the id that the member has.
		time.Sleep(time.Minute)
		if got := fmt.Sprint(events(seen.now(t))); got != "[1 me ]" {
			t.Errorf("got %s, want one enter: the connection was there again in time", got)
		}
		c.Lose(15 * time.Second)
		time.Sleep(16 * time.Second)
		if got := fmt.Sprint(events(seen.now(t))); got != "[3 me ]" {
			t.Errorf("got %s, want that me left", got)
		}
		if err := c.Return(); err != nil {
			t.Fatal(err)
		}
		enter(c.ID() + ":2") // The member is gone, so that the same id enters.
		if got := fmt.Sprint(events(seen.now(t))); got != "[1 me ]" || members(t, a, "chat") != "me " {
			t.Errorf("got %s and members %q, want that me is back", got, members(t, a, "chat"))
		}
		c.Close()
		if got := fmt.Sprint(events(seen.now(t))); got != "[3 me ]" {
			t.Errorf("got %s after the end, want that me left", got)
		}
		wantError(t, c.Return(), hub.ErrClosed)
	})
}

// Who comes back enters again with what it has seen of itself, which is older
// than what it has said since: the newer counts, a leave too.
func TestEnterAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		c := connect(t, a)
		serial := 0
		say := func(action hub.Action, id, data string) {
			t.Helper()
			if id != "" {
				id = c.ID() + id
			}
			list := []hub.Message{{ClientID: "me", Action: action, ID: id, Data: data}}
			if err := c.Present("chat", fmt.Sprintf("%s:%d", c.ID(), serial), list, func(hub.Position, error) {}); err != nil {
				t.Fatal(err)
			}
			serial++
		}
		returns := func(after time.Duration) {
			t.Helper()
			c.Lose(15 * time.Second)
			time.Sleep(after)
			if err := c.Return(); err != nil {
				t.Fatal(err)
			}
			attach(t, c, "chat", hub.Attaching{})
		}
		want := func(want string) {
			t.Helper()
			if got := members(t, a, "chat"); got != want {
				t.Errorf("got members %q, want %q", got, want)
			}
		}
		attach(t, c, "chat", hub.Attaching{})
		say(hub.Enter, "", "old") // 0
		say(hub.Update, "", "new")
		returns(time.Second)
		say(hub.Enter, ":0:0", "old")
		want("me new")
		say(hub.Leave, "", "") // 3
		returns(time.Second)
		say(hub.Enter, ":1:0", "new")
		want("")
		say(hub.Enter, ":5:0", "own id") // Its own, and no other's.
		want("me own id")
		returns(time.Minute) // It has left meanwhile.
		want("")
		say(hub.Enter, ":5:0", "back") // 6
		say(hub.Update, "", "newest")
		returns(time.Second)
		say(hub.Enter, ":5:0", "back")
		want("me newest")
	})
}

// Who resumes learns who is present by the members alone: those who have entered
// meanwhile may have gone with their node since, and no entry says so.
func TestResumeAfterRestart(t *testing.T) {
	l := new(hub.MemoryLog)
	before := newAppOver(t, l, hub.AppOptions{})
	seen := attach(t, connect(t, before), "chat", hub.Attaching{})
	c := connect(t, before)
	attach(t, c, "chat", hub.Attaching{})
	wantError(t, present(c, "chat", c.ID()+":0", hub.Enter, "me"), nil)
	publish(t, c, "chat", "hello")
	after := newAppOver(t, l, hub.AppOptions{})
	back := attach(t, connect(t, after), "chat", hub.Attaching{From: seen.Position})
	if list := back.now(t); !back.Resumed || len(back.Present()) != 0 || len(list) != 1 || list[0].Kind != hub.Messages {
		t.Errorf("got resumed %t, %d members and %d entries, want the message alone", back.Resumed, len(back.Present()), len(list))
	}
}

func TestMemberLimit(t *testing.T) {
	a := newApp(t, hub.AppOptions{Namespaces: map[string]hub.Namespace{"": {Members: 2}}})
	c := connect(t, a)
	attach(t, c, "chat", hub.Attaching{})
	wantError(t, present(c, "chat", "c:0", hub.Enter, "a", "b"), nil)
	wantError(t, present(c, "chat", "c:1", hub.Enter, "c"), hub.ErrMembers)
	wantError(t, present(c, "chat", "c:2", hub.Update, "b"), nil)
	wantError(t, present(c, "chat", "c:3", hub.Leave, "a"), nil)
	wantError(t, present(c, "chat", "c:4", hub.Enter, "c"), nil)
}

// A lateLog does not tell of what it has taken.
type lateLog struct{ hub.MemoryLog }

func (l *lateLog) Follow(ctx context.Context, n hub.Name, _ func(*hub.Entry), lost func()) (hub.Position, func(), error) {
	return l.MemoryLog.Follow(ctx, n, func(*hub.Entry) {}, lost)
}

// Those whom the log has yet to tell of count too.
func TestMemberLimitBeforeTheLogTells(t *testing.T) {
	a := newAppOver(t, new(lateLog), hub.AppOptions{Namespaces: map[string]hub.Namespace{"": {Members: 2}}})
	c := connect(t, a)
	attach(t, c, "chat", hub.Attaching{})
	wantError(t, present(c, "chat", "c:0", hub.Enter, "a"), nil)
	wantError(t, present(c, "chat", "c:1", hub.Enter, "b"), nil)
	wantError(t, present(c, "chat", "c:2", hub.Enter, "c"), hub.ErrMembers)
}

// A log that is out of reach refuses, and what has to be is made up for.
func TestPresenceWithoutLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(faultyLog)
		a := newAppOver(t, l, hub.AppOptions{})
		c := connect(t, a)
		attach(t, c, "chat", hub.Attaching{})
		wantError(t, present(c, "chat", "c:0", hub.Enter, "a", "b"), nil)
		l.down.Store(true)
		wantError(t, present(c, "chat", "c:1", hub.Leave, "a"), hub.ErrUnavailable)
		_, err := a.Publish(t.Context(), "", hub.Publication{Channel: "chat", Messages: make([]hub.Message, 1)})
		wantError(t, err, hub.ErrUnavailable)
		_, err = connect(t, a).Attach(t.Context(), "cold", hub.Attaching{})
		wantError(t, err, hub.ErrUnavailable)
		c.Close()
		time.Sleep(5 * time.Second)
		if got := members(t, a, "chat"); got != "a a's, b b's" {
			t.Errorf("got %q while the log is out of reach", got)
		}
		l.down.Store(false)
		time.Sleep(2 * time.Second)
		if got := members(t, a, "chat"); got != "" {
			t.Errorf("got members %q of a connection that has ended", got)
		}
	})
}

func TestOccupancy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		watcher := attach(t, connect(t, a), "chat", hub.Attaching{Modes: hub.Subscribe, Occupancy: true})
		if got := watcher.TakeOccupancy(); got == nil || *got != (hub.Occupancy{Connections: 1, Subscribers: 1}) {
			t.Errorf("got %+v at first", got)
		}
		var connections []*hub.Connection
		told := 0
		for range 30 {
			c := connect(t, a)
			connections = append(connections, c)
			attach(t, c, "chat", hub.Attaching{})
			time.Sleep(100 * time.Millisecond)
			if watcher.TakeOccupancy() != nil {
				told++
			}
		}
		if told > 5 {
			t.Errorf("was told %d times in 3 s, want once a second", told)
		}
		if err := present(connections[0], "chat", "c:0", hub.Enter, "me"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		watcher.now(t)
		want := hub.Occupancy{Connections: 31, Publishers: 30, Subscribers: 31, PresenceConnections: 30, PresenceMembers: 1, PresenceSubscribers: 30}
		if got := watcher.TakeOccupancy(); got == nil || *got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		for _, c := range connections {
			c.Close()
		}
		time.Sleep(2 * time.Second)
		if got, active, _ := a.Occupied(t.Context(), "chat"); !active || got != (hub.Occupancy{Connections: 1, Subscribers: 1}) {
			t.Errorf("got %+v, active %t, after all have gone", got, active)
		}
		if _, active, _ := a.Occupied(t.Context(), "other"); active {
			t.Error("got a channel that nobody uses")
		}
	})
}

// What changes between the question for the occupancy and that for entries is not
// forgotten: the waker is told again.
func TestOccupancyMeanwhile(t *testing.T) {
	a := newApp(t, hub.AppOptions{})
	watcher := attach(t, connect(t, a), "chat", hub.Attaching{Occupancy: true})
	<-watcher.woken
	if got := watcher.now(t); len(got) > 0 { // Asked for entries alone.
		t.Fatalf("got %d entries, want none", len(got))
	}
	select {
	case <-watcher.woken:
	default:
		t.Fatal("nobody was told of the occupancy that was not taken")
	}
	if watcher.TakeOccupancy() == nil {
		t.Error("got no occupancy")
	}
	watcher.now(t)
	select {
	case <-watcher.woken:
		t.Error("told again, of nothing")
	default:
	}
}

// A heldLog appends when it is told to.
type heldLog struct {
	hub.MemoryLog
	late []func(fails bool)
}

func (l *heldLog) Append(e *hub.Entry, then func(hub.Position, error)) {
	l.late = append(l.late, func(fails bool) {
		if fails {
			then(0, errDown)
		} else {
			l.MemoryLog.Append(e, then)
		}
	})
}

func (l *heldLog) catchUp(fails bool) {
	late := l.late
	l.late = nil
	for _, f := range late {
		f(fails)
	}
}

// Members count from when they enter, not from when the log has told of them: many
// that enter at once are not more than there may be.
func TestMembersInFlight(t *testing.T) {
	l := new(heldLog)
	a := newAppOver(t, l, hub.AppOptions{Namespaces: map[string]hub.Namespace{"": {Members: 3}}})
	var connections []*hub.Connection
	for range 10 {
		c := connect(t, a)
		attach(t, c, "chat", hub.Attaching{})
		connections = append(connections, c)
	}
	serial := 0
	entered := func(connections []*hub.Connection) (n int) {
		serial++
		for _, c := range connections {
			switch err := present(c, "chat", fmt.Sprint(c.ID(), ":", serial), hub.Enter, c.ID()); {
			case err == nil:
				n++
			case !errors.Is(err, hub.ErrMembers):
				t.Fatal(err)
			}
		}
		return n
	}
	members := func() int {
		list, err := a.Members(t.Context(), "chat")
		if err != nil {
			t.Fatal(err)
		}
		return len(list)
	}
	if n := entered(connections); n != 3 {
		t.Errorf("got %d that entered at once, want 3", n)
	}
	if n := entered(connections[:3]); n != 3 {
		t.Errorf("got %d that said so again, want 3", n)
	}
	l.catchUp(false)
	if n := members(); n != 3 {
		t.Errorf("got %d members, want 3", n)
	}
	leave := func() {
		for _, c := range connections {
			c.Detach(c.Attachment("chat"))
			attach(t, c, "chat", hub.Attaching{})
		}
		l.catchUp(false)
	}
	leave()
	if n := entered(connections); n != 3 {
		t.Errorf("got %d that entered once the others had left, want 3", n)
	}
	l.catchUp(true) // Whose places are free again.
	if n := entered(connections[3:]); n != 3 {
		t.Errorf("got %d that entered once the log had failed others, want 3", n)
	}
	if n := entered(connections[:3]); n != 0 {
		t.Errorf("got %d of those whom it has failed, want none", n)
	}
	l.catchUp(false)
	if n := members(); n != 3 {
		t.Errorf("got %d members, want 3", n)
	}
	leave()
	if err := present(connections[0], "chat", "twice", hub.Enter, "a", "b", "b", "c"); err != nil {
		t.Errorf("got %v for three of whom one says so twice", err)
	}
}
