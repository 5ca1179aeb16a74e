package hubtest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// soon is how long a log may take to tell of an entry.
const soon = 10 * time.Second

// TestLog runs the suite. open is called for each test and returns the logs of
// the nodes of one site, at least one, which are empty; it closes them with the
// test.
func TestLog(t *testing.T, open func(t *testing.T) []hub.Log) {
	t.Helper()
	for _, c := range []struct {
		name string
		test func(t *testing.T, logs []hub.Log)
	}{
		{"one order for all", testOrder},
		{"an entry is added once", testOnce},
		{"ranges are read both ways", testRanges},
		{"what is followed is what is read", testFollow},
		{"an entry comes back as it was", testFields},
		{"channels are apart", testApart},
		{"bounds", testBounds},
		{"nothing after stop", testStop},
		{"several follow a channel", testSeveral},
	} {
		t.Run(c.name, func(t *testing.T) { c.test(t, open(t)) })
	}
}

// Chat is a channel for tests.
var Chat = hub.Name{App: "app", Channel: "chat"}

// Entry is one of a text message.
func Entry(n hub.Name, id, text string) *hub.Entry {
	return &hub.Entry{Name: &n, Messages: []hub.Message{{ID: id, Data: text, Form: hub.Text}}}
}

// Append appends and waits.
func Append(t *testing.T, l hub.Log, e *hub.Entry) hub.Position {
	t.Helper()
	at, err := TryAppend(l, e)
	if err != nil {
		t.Fatalf("append: %v", err)
	}
	return at
}

// TryAppend is Append that may fail.
func TryAppend(l hub.Log, e *hub.Entry) (at hub.Position, err error) {
	done := make(chan struct{})
	l.Append(e, func(p hub.Position, e error) {
		at, err = p, e
		close(done)
	})
	select {
	case <-done:
		return at, err
	case <-time.After(soon):
		return 0, errors.New("then was not called")
	}
}

// A Tail is what a follower was told, in order.
type Tail struct {
	From hub.Position
	Stop func()

	mu      sync.Mutex
	entries []*hub.Entry
	more    chan struct{}
}

// Follow follows a channel until the test ends.
func Follow(t *testing.T, l hub.Log, n hub.Name) *Tail {
	t.Helper()
	tail := &Tail{more: make(chan struct{}, 1)}
	from, stop, err := l.Follow(t.Context(), n, func(e *hub.Entry) {
		tail.mu.Lock()
		tail.entries = append(tail.entries, e)
		tail.mu.Unlock()
		select {
		case tail.more <- struct{}{}:
		default:
		}
	}, func() { t.Error("the log has lost its place") })
	if err != nil {
		t.Fatalf("follow: %v", err)
	}
	tail.From, tail.Stop = from, sync.OnceFunc(stop)
	t.Cleanup(tail.Stop)
	return tail
}

// Await returns the first n entries.
func (tail *Tail) Await(t *testing.T, n int) []*hub.Entry {
	t.Helper()
	end := time.After(soon)
	for {
		tail.mu.Lock()
		list := slices.Clone(tail.entries)
		tail.mu.Unlock()
		if len(list) >= n {
			return list
		}
		select {
		case <-tail.more:
		case <-end:
			t.Fatalf("got %d entries in %v, want %d", len(list), soon, n)
		}
	}
}

// Texts are the data of entries.
func Texts(list []*hub.Entry) []string {
	out := make([]string, 0, len(list))
	for _, e := range list {
		for i := range e.Messages {
			out = append(out, e.Messages[i].Data)
		}
	}
	return out
}

func testOrder(t *testing.T, logs []hub.Log) {
	const writers, each = 4, 50
	tails := make([]*Tail, len(logs))
	for i, l := range logs {
		tails[i] = Follow(t, l, Chat)
	}
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			l := logs[w%len(logs)]
			var all sync.WaitGroup
			for i := range each {
				all.Add(1)
				text := fmt.Sprintf("%d-%03d", w, i)
				l.Append(Entry(Chat, text, text), func(_ hub.Position, err error) {
					defer all.Done()
					if err != nil {
						t.Errorf("append %s: %v", text, err)
					}
				})
			}
			all.Wait()
		})
	}
	wg.Wait()
	want := Texts(tails[0].Await(t, writers*each))
	for w := range writers {
		var own []string
		for _, s := range want {
			if s[0] == byte('0'+w) {
				own = append(own, s)
			}
		}
		if len(own) != each || !slices.IsSorted(own) {
			t.Errorf("got %d of writer %d in the order %v, want %d as they were written", len(own), w, own, each)
		}
	}
	for i, tail := range tails {
		list := tail.Await(t, writers*each)
		if got := Texts(list); !slices.Equal(got, want) {
			t.Errorf("node %d: got the order %v, want %v", i, got, want)
		}
		for j := 1; j < len(list); j++ {
			if list[j].Position <= list[j-1].Position || list[j].Position.String() <= list[j-1].Position.String() {
				t.Errorf("got position %v after %v, want it to rise", list[j].Position, list[j-1].Position)
			}
		}
		if list[0].Position <= tail.From {
			t.Errorf("got first position %v, want it after %v", list[0].Position, tail.From)
		}
	}
}

func testOnce(t *testing.T, logs []hub.Log) {
	tail := Follow(t, logs[0], Chat)
	first := Append(t, logs[0], Entry(Chat, "x:0", "first"))
	for i, l := range logs {
		if again := Append(t, l, Entry(Chat, "x:0", "again")); again != first {
			t.Errorf("node %d: got position %v, want the first one's, %v", i, again, first)
		}
	}
	presence := Entry(Chat, "x:0", "presence")
	presence.Kind = hub.Presence
	Append(t, logs[0], presence)
	other := hub.Name{App: "app", Channel: "other"}
	Append(t, logs[0], Entry(other, "x:0", "another channel"))
	if got := read(t, logs[0], other, hub.Range{Limit: 10}); !slices.Equal(got, []string{"another channel"}) {
		t.Errorf("got %v in another channel, want the entry whose id was new there", got)
	}
	Append(t, logs[0], Entry(Chat, "y:0", "last"))
	want := []string{"first", "presence", "last"}
	if got := Texts(tail.Await(t, 3)); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func read(t *testing.T, l hub.Log, n hub.Name, r hub.Range) []string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soon)
	defer cancel()
	list, err := l.Read(ctx, n, r)
	if err != nil {
		t.Fatalf("read: %v", err)
	}
	return Texts(list)
}

func testRanges(t *testing.T, logs []hub.Log) {
	var at []hub.Position
	for i := range 10 {
		Append(t, logs[0], Entry(hub.Name{App: "app", Channel: "noise"}, fmt.Sprint(i), "noise"))
		at = append(at, Append(t, logs[0], Entry(Chat, fmt.Sprint(i), fmt.Sprint(i))))
	}
	for _, tt := range []struct {
		name string
		r    hub.Range
		want string
	}{
		{"all", hub.Range{Limit: 100}, "0123456789"},
		{"all, backwards", hub.Range{Limit: 100, Backwards: true}, "9876543210"},
		{"the first", hub.Range{Limit: 3}, "012"},
		{"the very first", hub.Range{Limit: 1}, "0"},
		{"the very last", hub.Range{Limit: 1, Backwards: true}, "9"},
		{"the last", hub.Range{Limit: 3, Backwards: true}, "987"},
		{"after", hub.Range{After: at[6], Limit: 100}, "789"},
		{"up to", hub.Range{To: at[2], Limit: 100}, "012"},
		{"between", hub.Range{After: at[2], To: at[5], Limit: 100}, "345"},
		{"between, backwards", hub.Range{After: at[2], To: at[5], Limit: 2, Backwards: true}, "54"},
		{"between entries", hub.Range{After: at[2] + 1, To: at[5] - 1, Limit: 100}, between(at)},
		{"nothing", hub.Range{After: at[9], Limit: 100}, ""},
		{"nothing between", hub.Range{After: at[5], To: at[3], Limit: 100}, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, l := range logs {
				got := ""
				for _, s := range read(t, l, Chat, tt.r) {
					got += s
				}
				if got != tt.want {
					t.Errorf("node %d: got %q, want %q", i, got, tt.want)
				}
			}
		})
	}
}

// between is what is after at[2]+1 and up to at[5]-1.
func between(at []hub.Position) (want string) {
	for i := 3; i < 5; i++ {
		if at[i] > at[2]+1 && at[i] <= at[5]-1 {
			want += fmt.Sprint(i)
		}
	}
	return want
}

func testFollow(t *testing.T, logs []hub.Log) {
	for i := range 5 {
		Append(t, logs[0], Entry(Chat, fmt.Sprint("early", i), fmt.Sprint("early", i)))
	}
	l := logs[len(logs)-1]
	tail := Follow(t, l, Chat)
	for i := range 5 {
		Append(t, logs[0], Entry(Chat, fmt.Sprint("late", i), fmt.Sprint("late", i)))
	}
	told := Texts(tail.Await(t, 5))
	before := read(t, l, Chat, hub.Range{To: tail.From, Limit: 100})
	if got, want := slices.Concat(before, told), read(t, l, Chat, hub.Range{Limit: 100}); !slices.Equal(got, want) || len(want) != 10 {
		t.Errorf("got %v before and after, want %v", got, want)
	}
}
