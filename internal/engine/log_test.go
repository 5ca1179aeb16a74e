package engine_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

func openLog(t *testing.T, o engine.Options, lo engine.LogOptions) *engine.Log {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	l, err := engine.OpenLog(ctx, o, lo)
	if err != nil {
		t.Fatalf("open log: %v", err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close log: %v", err)
		}
	})
	return l
}

func TestLog(t *testing.T) {
	for _, d := range []engine.Durability{engine.Memory, engine.Process, engine.Interval} {
		t.Run(string(d), func(t *testing.T) {
			hubtest.TestLog(t, func(t *testing.T) []hub.Log {
				return []hub.Log{openLog(t, engine.Options{Data: t.TempDir()}, engine.LogOptions{Durability: d})}
			})
		})
	}
	t.Run("without a disk", func(t *testing.T) {
		hubtest.TestLog(t, func(t *testing.T) []hub.Log {
			return []hub.Log{openLog(t, engine.Options{Memory: true}, engine.LogOptions{})}
		})
	})
}

// Nodes of a cluster have one log.
func TestLogOfCluster(t *testing.T) {
	c := enginetest.NewCluster(t, 3, func(o *server.Options) { o.SyncAlways = false })
	for _, d := range []engine.Durability{engine.Memory, engine.Replicated} {
		t.Run(string(d), func(t *testing.T) {
			hubtest.TestLog(t, func(t *testing.T) []hub.Log {
				c.Clear(t)
				var logs []hub.Log
				for _, url := range c.URLs() {
					logs = append(logs, openLog(t, engine.Options{NATS: &engine.NATS{URLs: []string{url}}}, engine.LogOptions{Durability: d}))
				}
				return logs
			})
		})
	}
}

// Who follows a channel by one server is told of what is appended by another as
// soon as it follows, though no second entry shows that the first was missed.
func TestFollowerIsToldOfTheFirst(t *testing.T) {
	c := enginetest.NewCluster(t, 3, func(o *server.Options) { o.SyncAlways = false })
	var logs []*engine.Log
	for _, url := range c.URLs() {
		logs = append(logs, openLog(t, engine.Options{NATS: &engine.NATS{URLs: []string{url}}}, engine.LogOptions{Durability: engine.Memory}))
	}
	for i := range 16 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			t.Parallel()
			for j := range 100 {
				n := hub.Name{App: "app", Channel: fmt.Sprint(i, " ", j)}
				tail := hubtest.Follow(t, logs[(i+1)%3], n)
				hubtest.Append(t, logs[i%3], hubtest.Entry(n, "1", "first"))
				tail.Await(t, 1)
				tail.Stop()
			}
		})
	}
}

// Who follows writes nothing, which would push out what is kept where that has a
// bound.
func TestFollowerWritesNothing(t *testing.T) {
	c := enginetest.NewCluster(t, 1, func(o *server.Options) { o.SyncAlways = false })
	o := engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}
	l := openLog(t, o, engine.LogOptions{Durability: engine.Memory, MaxBytes: 4096})
	n := hub.Name{App: "app", Channel: "chat"}
	hubtest.Append(t, l, hubtest.Entry(n, "1", "first"))
	for range 200 {
		hubtest.Follow(t, l, n).Stop()
	}
	list, err := l.Read(t.Context(), n, hub.Range{Limit: 10})
	if got := hubtest.Texts(list); err != nil || !slices.Equal(got, []string{"first"}) {
		t.Errorf("got %v, %v, want what was kept", got, err)
	}
}

// What is acknowledged is there after a restart, under its number, and known by
// its key.
func TestLogSurvivesRestart(t *testing.T) {
	o := engine.Options{Data: t.TempDir()}
	l := openLog(t, o, engine.LogOptions{})
	first := hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, "1", "one"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	again, err := engine.OpenLog(t.Context(), o, engine.LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	if got := hubtest.Append(t, again, hubtest.Entry(hubtest.Chat, "1", "one")); got != first {
		t.Errorf("got position %v for the same message, want %v", got, first)
	}
	hubtest.Append(t, again, hubtest.Entry(hubtest.Chat, "2", "two"))
	list, err := again.Read(t.Context(), hubtest.Chat, hub.Range{Limit: 10})
	if got := hubtest.Texts(list); err != nil || !slices.Equal(got, []string{"one", "two"}) {
		t.Errorf("got %v and %v", got, err)
	}
}

// The end of a long channel is found among many others' messages.
func TestLogReadsBack(t *testing.T) {
	l := openLog(t, engine.Options{Data: t.TempDir()}, engine.LogOptions{})
	const n = 2500
	var wg sync.WaitGroup
	for i := range n {
		for _, name := range []hub.Name{hubtest.Chat, {App: "app", Channel: "noise"}} {
			wg.Add(1)
			l.Append(hubtest.Entry(name, fmt.Sprint(i), fmt.Sprint(i)), func(_ hub.Position, err error) {
				defer wg.Done()
				if err != nil {
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	for _, limit := range []int{1, 10, 600, n, 2 * n} {
		list, err := l.Read(t.Context(), hubtest.Chat, hub.Range{Backwards: true, Limit: limit})
		if err != nil || len(list) != min(limit, n) {
			t.Fatalf("limit %d: got %d entries and %v", limit, len(list), err)
		}
		for i, text := range hubtest.Texts(list) {
			if text != fmt.Sprint(n-1-i) {
				t.Fatalf("limit %d: got %s at %d", limit, text, i)
			}
		}
	}
}

// A follower that was cut off hears what it has missed, once and in order.
func TestLogFollowerCatchesUp(t *testing.T) {
	c := enginetest.NewCluster(t, 1, func(o *server.Options) { o.SyncAlways = false })
	p := newProxy(t, strings.TrimPrefix(c.URLs()[0], "nats://"))
	far := openLog(t, engine.Options{NATS: &engine.NATS{URLs: []string{p.url()}}}, engine.LogOptions{})
	near := openLog(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}, engine.LogOptions{})
	tail := hubtest.Follow(t, far, hubtest.Chat)
	hubtest.Append(t, near, hubtest.Entry(hubtest.Chat, "0", "0"))
	tail.Await(t, 1)
	p.cut()
	for i := 1; i < 700; i++ {
		hubtest.Append(t, near, hubtest.Entry(hubtest.Chat, fmt.Sprint(i), fmt.Sprint(i)))
	}
	if _, err := hubtest.TryAppend(far, hubtest.Entry(hubtest.Chat, "cut off", "cut off")); !errors.Is(err, hub.ErrUnavailable) {
		t.Errorf("got %v while cut off, want ErrUnavailable", err)
	}
	p.open(t)
	for i, text := range hubtest.Texts(tail.Await(t, 700)) {
		if text != fmt.Sprint(i) {
			t.Fatalf("got %s at %d", text, i)
		}
	}
}

// A log that was lost is made anew, and whoever followed it is told.
func TestLogIsLost(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	l := openLog(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}, engine.LogOptions{})
	at := hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, "1", "one"))
	lost := make(chan struct{})
	_, stop, err := l.Follow(t.Context(), hubtest.Chat, func(*hub.Entry) {}, func() { close(lost) })
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	c.Clear(t)
	select {
	case <-lost:
	case <-time.After(20 * time.Second):
		t.Fatal("the follower was not told")
	}
	var fresh hub.Position
	for end := time.Now().Add(20 * time.Second); ; {
		if fresh, err = hubtest.TryAppend(l, hubtest.Entry(hubtest.Chat, "2", "two")); err == nil || time.Now().After(end) {
			break
		}
	}
	after, _, boundsErr := l.Bounds(t.Context(), hubtest.Chat)
	if err != nil || boundsErr != nil || fresh <= at || after <= at {
		t.Errorf("got position %v after %v, and bound %v (%v, %v)", fresh, at, after, err, boundsErr)
	}
	// A server that is stopped while it makes a stream leaves some of it behind.
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	for made := 0; made < 16; time.Sleep(10 * time.Millisecond) {
		made = 0
		for range js.StreamNames(t.Context()).Name() {
			made++
		}
	}
}

func TestLogOptions(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		o  engine.Options
		lo engine.LogOptions
	}{
		"no such level":                {engine.Options{Memory: true}, engine.LogOptions{Durability: "tape"}},
		"replicated without a cluster": {engine.Options{Data: t.TempDir()}, engine.LogOptions{Durability: engine.Replicated}},
		"a disk for what is in memory": {engine.Options{Memory: true}, engine.LogOptions{Durability: engine.Process}},
		"a directory that cannot be":   {engine.Options{Data: file}, engine.LogOptions{}},
	} {
		if l, err := engine.OpenLog(t.Context(), tt.o, tt.lo); err == nil {
			_ = l.Close()
			t.Errorf("%s: got no error", name)
		}
	}
}

// How long messages are kept is made longer, while the log is open and when it is
// opened, and never shorter; all else about the streams stays as it was made.
func TestLogKeeps(t *testing.T) {
	c := enginetest.NewCluster(t, 1, nil)
	js, err := jetstream.New(c.Connect(t))
	if err != nil {
		t.Fatal(err)
	}
	config := func(name string) jetstream.StreamConfig {
		s, err := js.Stream(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return s.CachedInfo().Config
	}
	const margin = 30 * time.Second
	o := engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}
	one := openLog(t, o, engine.LogOptions{Durability: engine.Process})
	made := config("usher_kept_3")
	for _, step := range []struct {
		what  string
		to    time.Duration
		anew  bool
		wants time.Duration
	}{
		{"shorter", time.Hour, false, 24 * time.Hour},
		{"longer", 48 * time.Hour, false, 48 * time.Hour},
		{"opened for shorter", time.Hour, true, 48 * time.Hour},
		{"opened for longer", 72 * time.Hour, true, 72 * time.Hour},
	} {
		if step.anew {
			openLog(t, o, engine.LogOptions{Durability: engine.Process, Kept: step.to})
		} else if err := one.Keep(t.Context(), step.to); err != nil {
			t.Fatalf("%s: %v", step.what, err)
		}
		got := config("usher_kept_3")
		if got.MaxAge != step.wants+margin {
			t.Errorf("%s: got %v, want %v", step.what, got.MaxAge, step.wants+margin)
		}
		got.MaxAge = made.MaxAge
		if diff := cmp.Diff(made, got); diff != "" {
			t.Errorf("%s: the stream has changed:\n%s", step.what, diff)
		}
	}
	if got := config("usher_brief_3").MaxAge; got != 2*time.Minute+margin {
		t.Errorf("got %v for what is brief", got)
	}
	c.Clear(t)
	until := time.Now().Add(20 * time.Second)
	for ; one.Keep(t.Context(), time.Hour) != nil && time.Now().Before(until); time.Sleep(100 * time.Millisecond) {
	}
	if got := config("usher_kept_3").MaxAge; got < 48*time.Hour {
		t.Errorf("got %v once the streams were lost and made anew", got)
	}
}

// The store is asked for no more than a read may need.
func TestLogAsksForWhatIsNeeded(t *testing.T) {
	for _, tt := range []struct {
		r          hub.Range
		have, want int
	}{
		{hub.Range{Limit: 32}, 0, 32},
		{hub.Range{Limit: 32}, 31, 1},
		{hub.Range{Limit: 5000}, 0, 1024},
		{hub.Range{Limit: 5000}, 4096, 904},
		{hub.Range{Limit: 1, Backwards: true}, 0, 64},
		{hub.Range{Limit: 200, Backwards: true}, 200, 200},
		{hub.Range{Limit: 5000, Backwards: true}, 0, 1024},
	} {
		if got := engine.BatchFor(tt.r, tt.have); got != tt.want {
			t.Errorf("%+v, of which there are %d: got %d, want %d", tt.r, tt.have, got, tt.want)
		}
	}
}
