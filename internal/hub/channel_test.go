package hub_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

func TestPublishReachesEveryCursor(t *testing.T) {
	a := newApp(t, hub.AppOptions{})
	one, two := connect(t, a), connect(t, a)
	echoed := attach(t, one, "chat", hub.Attaching{})
	quiet := attach(t, two, "chat", hub.Attaching{NoEcho: true})
	deaf := attach(t, connect(t, a), "chat", hub.Attaching{Modes: hub.Publish})
	publish(t, one, "chat", "a", "b")
	publish(t, two, "chat", "c")
	if _, err := a.Publish(t.Context(), "", hub.Publication{Channel: "chat", Messages: []hub.Message{{Data: "d"}, {Data: "e"}}}); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		r    *reader
		want string
	}{
		{"a subscriber", echoed, "[a b c d e]"},
		{"without echo", quiet, "[a b d e]"},
		{"not subscribed", deaf, "[]"},
	} {
		if got := tt.r.texts(t); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
	}
	if len(echoed.woken) != 1 {
		t.Error("the waker was not told")
	}
	<-echoed.woken
	publish(t, one, "chat", "f")
	if got := echoed.texts(t); got != "[f]" || len(echoed.woken) != 1 {
		t.Errorf("got %s and %d calls of the waker, want [f] and 1", got, len(echoed.woken))
	}
	one.Detach(one.Attachment("chat"))
	if _, err := echoed.Take(t.Context(), nil, 1); err == nil {
		t.Error("got no error after a detach")
	}
}

// Connections are counted while they are open, and as they are opened; one that
// is refused was not.
func TestConnectionsAreCounted(t *testing.T) {
	a := newApp(t, hub.AppOptions{Limits: hub.Limits{Connections: 2}})
	one := connect(t, a)
	connect(t, a)
	if _, err := a.Connect(hub.Owner{}); err == nil {
		t.Fatal("got no error for a third connection")
	}
	one.Close()
	if n := a.Counts(); n.Connections != 1 || n.Opened != 2 {
		t.Errorf("got %d open and %d opened, want 1 and 2", n.Connections, n.Opened)
	}
}

// What an app has done counts for the hub, also when the app is no more: who adds
// it up would take less than before for a fresh start.
func TestCountsOfAppsThatAreNoMore(t *testing.T) {
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	defer h.Close()
	for _, id := range []string{"stays", "goes"} {
		a := h.SetApp(id, hub.AppOptions{})
		publish(t, connect(t, a), "chat", "abc")
		a.Delivered(2, 30)
	}
	before := h.Counts()
	h.RemoveApp("goes")
	after := h.Counts()
	want := hub.Counts{Published: 2, PublishedBytes: 6, Delivered: 4, DeliveredBytes: 60, Opened: 2, Connections: 2, Channels: 0}
	if before != want {
		t.Errorf("got %+v, want %+v", before, want)
	}
	if want.Connections = 1; after != want {
		t.Errorf("got %+v once an app is no more, want %+v", after, want)
	}
}

func TestResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		c := connect(t, a)
		r := attach(t, c, "chat", hub.Attaching{})
		virgin := r.Position
		a1 := publish(t, c, "chat", "a")
		publish(t, c, "chat", "b", "c")
		for _, tt := range []struct {
			name    string
			from    hub.Position
			resumed bool
			want    string
		}{
			{"from the beginning", virgin, true, "[a b c]"},
			{"from the first", a1, true, "[b c]"},
			{"from the future", a1 + 1e12, false, "[]"},
			{"from before the log", virgin - 1e9, false, "[]"},
			{"not", 0, false, "[]"},
		} {
			got := attach(t, connect(t, a), "chat", hub.Attaching{From: tt.from})
			if got.Resumed != tt.resumed || got.Lost != (tt.from != 0 && !tt.resumed) {
				t.Errorf("%s: got resumed %t and lost %t", tt.name, got.Resumed, got.Lost)
			}
			if tt.resumed && got.Position != tt.from || got.Backlog != tt.resumed {
				t.Errorf("%s: got position %v and backlog %t", tt.name, got.Position, got.Backlog)
			}
			if texts := got.texts(t); texts != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, texts, tt.want)
			}
		}
		time.Sleep(121 * time.Second)
		last := publish(t, c, "chat", "d")
		if got := attach(t, connect(t, a), "chat", hub.Attaching{From: a1}); !got.Lost {
			t.Error("got a resume beyond what is kept")
		}
		time.Sleep(time.Hour)
		// Nothing has come since: nothing was missed, however long it was.
		if got := attach(t, connect(t, a), "chat", hub.Attaching{From: last}); !got.Resumed || got.texts(t) != "[]" {
			t.Error("got no resume where nothing was missed")
		}
	})
}

func TestColdChannelIsReadFromTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(hub.MemoryLog)
		first := newAppOver(t, l, hub.AppOptions{})
		at := publish(t, connect(t, first), "chat", "a")
		publish(t, connect(t, first), "chat", "b", "c")
		second := newAppOver(t, l, hub.AppOptions{}) // As after a restart.
		if got := attach(t, connect(t, second), "chat", hub.Attaching{From: at}); !got.Resumed || got.texts(t) != "[b c]" {
			t.Error("got no resume on a node that did not know the channel")
		}
		third := newAppOver(t, l, hub.AppOptions{})
		if got := attach(t, connect(t, third), "chat", hub.Attaching{Rewind: 2}); got.texts(t) != "[b c]" {
			t.Error("got no rewind on a node that did not know the channel")
		}
	})
}

func TestSlowReaderFallsOffAndComesBack(t *testing.T) {
	a := newApp(t, hub.AppOptions{Limits: hub.Limits{Rate: -1, ChannelRate: -1}})
	c := connect(t, a)
	slow := attach(t, connect(t, a), "chat", hub.Attaching{})
	want := 12_000 // More than a ring has, and than is read at once.
	for i := range want {
		publish(t, c, "chat", fmt.Sprint(i))
	}
	_, err := slow.Take(t.Context(), nil, 10)
	wantError(t, err, hub.ErrBehind)
	back := attach(t, connect(t, a), "chat", hub.Attaching{From: slow.Position})
	list := back.now(t)
	if !back.Resumed || len(list) != want {
		t.Fatalf("got resumed %t with %d messages, want all %d", back.Resumed, len(list), want)
	}
	for i, text := range hubtest.Texts(list) {
		if text != fmt.Sprint(i) {
			t.Fatalf("got message %s at %d", text, i)
		}
	}
}

func TestRewind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		c := connect(t, a)
		publish(t, c, "chat", "a", "b")
		time.Sleep(30 * time.Second)
		publish(t, c, "chat", "c", "d")
		for _, tt := range []struct {
			name string
			o    hub.Attaching
			want string
		}{
			{"one", hub.Attaching{Rewind: 1}, "[d]"},
			{"three", hub.Attaching{Rewind: 3}, "[b c d]"},
			{"more than there are", hub.Attaching{Rewind: 100}, "[a b c d]"},
			{"a time", hub.Attaching{RewindFor: 10 * time.Second}, "[c d]"},
			{"a long time", hub.Attaching{RewindFor: time.Hour}, "[a b c d]"},
		} {
			if got := attach(t, connect(t, a), "chat", tt.o).texts(t); got != tt.want {
				t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
			}
		}
		time.Sleep(100 * time.Second)
		if got := attach(t, connect(t, a), "chat", hub.Attaching{Rewind: 4}).texts(t); got != "[c d]" {
			t.Errorf("got %s, want only what is kept", got)
		}
	})
}

func TestLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{Limits: hub.Limits{
			MessageBytes: 10, MessagesAtOnce: 2, Connections: 2, Channels: 1, AllChannels: 2, Rate: 5,
		}})
		c := connect(t, a)
		publishing := func(texts ...string) error {
			var list []hub.Message
			for _, text := range texts {
				list = append(list, hub.Message{Data: text})
			}
			return c.Publish(hub.Publication{Channel: "chat", Base: "b", Messages: list}, func(hub.Position, error) {})
		}
		wantError(t, publishing(), hub.ErrTooMany)
		wantError(t, publishing("a", "b", "c"), hub.ErrTooMany)
		wantError(t, publishing("aaaaaa", "bbbbb"), hub.ErrTooLarge)
		wantError(t, publishing("aaaaa", "bbbbb"), nil)
		var err error
		for range 20 {
			if err = publishing("a"); err != nil {
				break
			}
		}
		wantError(t, err, hub.ErrRate)
		time.Sleep(time.Second)
		wantError(t, publishing("a"), nil)
		attach(t, c, "chat", hub.Attaching{})
		attach(t, c, "chat", hub.Attaching{}) // Again is not one more.
		_, err = c.Attach(t.Context(), "other", hub.Attaching{})
		wantError(t, err, hub.ErrChannels)
		two := connect(t, a)
		_, err = a.Connect(hub.Owner{})
		wantError(t, err, hub.ErrConnections)
		two.Close()
		third := connect(t, a)
		attach(t, third, "other", hub.Attaching{})
		third.Detach(third.Attachment("other"))
		attach(t, third, "one more", hub.Attaching{}) // Which takes the place of what nobody uses.
		_, err = a.Publish(t.Context(), "", hub.Publication{Channel: "other", Messages: []hub.Message{{}}})
		wantError(t, err, hub.ErrAllChannels)
	})
}

// A client that goes from channel to channel takes no place from others, and
// what they have is not given away.
func TestChannelsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{Limits: hub.Limits{AllChannels: 10, AttachRate: -1}})
		reads := attach(t, connect(t, a), "room", hub.Attaching{})
		greedy := connect(t, a)
		want := ""
		for i := range 200 {
			name := fmt.Sprint("greedy", i)
			attach(t, greedy, name, hub.Attaching{})
			greedy.Detach(greedy.Attachment(name))
			c := connect(t, a)
			attach(t, c, fmt.Sprint("other", i), hub.Attaching{})
			publish(t, c, "room", fmt.Sprint(i))
			c.Close()
			want += fmt.Sprint(i, " ")
		}
		if got := reads.texts(t); got != "["+strings.TrimSpace(want)+"]" {
			t.Errorf("got %s, want all that was published", got)
		}
		for i := range 9 {
			attach(t, connect(t, a), fmt.Sprint("held", i), hub.Attaching{})
		}
		_, err := greedy.Attach(t.Context(), "one more", hub.Attaching{})
		wantError(t, err, hub.ErrAllChannels)
		time.Sleep(time.Hour)
		if names, err := a.Channels(t.Context(), "", "", 100); len(names) != 10 || err != nil {
			t.Errorf("got %v, %v, want those that are held", names, err)
		}
	})
}

// A connection attaches to as many channels at once as it may have, and then so
// many in a second, whether it leaves others or not.
func TestAttachRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{Limits: hub.Limits{Channels: 30, AttachRate: 5}})
		c, other := connect(t, a), connect(t, a)
		attached := func() (n int) {
			for i := range 100 {
				name := fmt.Sprint(i)
				if a, err := c.Attach(t.Context(), name, hub.Attaching{Waker: &reader{woken: make(chan struct{}, 1)}}); err == nil {
					n++
					c.Detach(a)
				} else {
					wantError(t, err, hub.ErrAttachRate)
				}
			}
			return n
		}
		if n := attached(); n != 30 {
			t.Errorf("got %d at once, want 30", n)
		}
		attach(t, other, "room", hub.Attaching{})
		time.Sleep(3 * time.Second)
		if n := attached(); n != 15 {
			t.Errorf("got %d after 3 s, want 15", n)
		}
	})
}

func TestIDs(t *testing.T) {
	a := newApp(t, hub.AppOptions{})
	for ids, ok := range map[string]bool{"": true, ",": true, "x": true, "x:0,x:1": true, "x:1,x:2": false, "x,y": false, "x:0,": false, ",x:1": false, "x:0,y:1": false, ":0,:1": true} {
		var list []hub.Message
		for _, id := range strings.Split(ids, ",") {
			list = append(list, hub.Message{ID: id})
		}
		_, err := a.Publish(t.Context(), "", hub.Publication{Channel: "ids" + ids, Messages: list})
		if (err == nil) != ok {
			t.Errorf("ids %q: got %v, want ok %t", ids, err, ok)
		}
	}
}

func TestChannelsAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		c := connect(t, a)
		attach(t, c, "chat:a", hub.Attaching{})
		attach(t, c, "chat:b", hub.Attaching{})
		attach(t, c, "other", hub.Attaching{})
		list := func(prefix, after string, limit int) string {
			list, err := a.Channels(t.Context(), prefix, after, limit)
			if err != nil {
				t.Error(err)
			}
			return fmt.Sprint(namesOf(list))
		}
		if got := list("", "", 10) + list("chat:", "", 1) + list("", "chat:b", 10); got != "[chat:a chat:b other][chat:a][other]" {
			t.Errorf("got %s", got)
		}
		c.Detach(c.Attachment("chat:a"))
		c.Detach(c.Attachment("chat:b"))
		time.Sleep(3 * time.Minute)
		if got := list("", "", 10); got != "[other]" {
			t.Errorf("got %s, want what is in use only", got)
		}
	})
}

// A channel that somebody only publishes to is active for a moment, and whoever
// asks does not make that longer.
func TestPublishedIsActive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{})
		active := func() bool {
			_, active, err := a.Occupied(t.Context(), "chat")
			list, errList := a.Channels(t.Context(), "", "", 10)
			if err := errors.Join(err, errList); err != nil || slices.Contains(namesOf(list), "chat") != active {
				t.Errorf("got %t beside the channels %v, %v", active, list, err)
			}
			return active
		}
		if active() {
			t.Error("got an active channel that nobody has used")
		}
		if _, err := a.Publish(t.Context(), "", hub.Publication{Channel: "chat", Messages: []hub.Message{{Name: "x"}}}); err != nil {
			t.Fatal(err)
		}
		if !active() {
			t.Error("got a channel that is not active after a publish")
		}
		for range 10 {
			time.Sleep(time.Second / 2)
			active()
		}
		if active() {
			t.Error("got a channel that is active for ever")
		}
	})
}
