package server

import (
	"context"
	"errors"
	"runtime"
	"runtime/debug"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

func TestRoomIsAPartOfAllMemory(t *testing.T) {
	const (
		v2   = "/sys/fs/cgroup/memory.max"
		v1   = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
		info = "/proc/meminfo"
	)
	for _, tt := range []struct {
		name  string
		files map[string]string
		want  uint64
	}{
		{"nothing known", nil, gcRoom},
		{"a large machine", map[string]string{info: "MemTotal:       24576000 kB\nMemFree: 1 kB\n", v2: "max\n"}, gcRoom},
		{"a small machine", map[string]string{info: "MemTotal:         524288 kB\nMemFree: 1 kB\n"}, 512 << 20 / roomPart},
		{"a small container", map[string]string{info: "MemTotal: 24576000 kB\n", v2: "134217728\n"}, 128 << 20 / roomPart},
		{"a small container, by version 1", map[string]string{info: "MemTotal: 24576000 kB\n", v1: "134217728\n"}, 128 << 20 / roomPart},
		{"no limit, by version 1", map[string]string{v1: "9223372036854771712\n"}, gcRoom},
		{"nonsense", map[string]string{info: "", v2: "-1", v1: "99999999999999999999999"}, gcRoom},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := roomIn(func(name string) ([]byte, error) {
				text, ok := tt.files[name]
				if !ok {
					return nil, errors.New("no such file")
				}
				return []byte(text), nil
			})
			if got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

// TestKeeperLeavesItToTheOperator has an operator who has told the collector
// what to do.
func TestKeeperLeavesItToTheOperator(t *testing.T) {
	for _, name := range []string{"GOGC", "GOMEMLIMIT"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOGC", "")
			t.Setenv("GOMEMLIMIT", "")
			if k := newKeeper(func() int64 { return 0 }); len(k.room) == 0 || k.visits == nil {
				t.Fatal("got no room where nobody said anything")
			}
			t.Setenv(name, "100")
			k := newKeeper(func() int64 { return 0 })
			if len(k.room) > 0 {
				t.Errorf("got room of %d bytes, want none", len(k.room))
			}
			k.run(context.Background()) // At once.
		})
	}
}

// TestKeeperWaitsForQuiet has requests come and stop, second by second.
func TestKeeperWaitsForQuiet(t *testing.T) {
	var visits int64
	k := &keeper{visits: func() int64 { return visits }}
	now := time.Now()
	for i, tt := range []struct {
		more int64
		want bool
	}{{1000, false}, {quiet, false}, {quiet - 1, true}, {0, false}, {0, false}, {0, false}, {0, false}, {0, true}, {0, false}} {
		visits += tt.more
		now = now.Add(trimEvery)
		got := k.isTime(now)
		if got != tt.want {
			t.Errorf("second %d: got %v, want %v", i, got, tt.want)
		}
		if got {
			k.trimmed = now
		}
	}
}

// TestMessagesAreVisits has a hub whose clients publish and make no request.
func TestMessagesAreVisits(t *testing.T) {
	h := hub.New(new(hub.MemoryLog), hub.Options{})
	defer h.Close()
	s := &Server{kept: &kept{hub: &hubService{hub: h}}}
	app := h.SetApp("app", hub.AppOptions{})
	for range 2 * messagesPerVisit {
		if _, err := app.Publish(t.Context(), "", hub.Publication{Channel: "room", Messages: []hub.Message{{Data: "x"}}}); err != nil {
			t.Fatal(err)
		}
	}
	if n := s.visits(); n != 2 {
		t.Errorf("got %d, want 2", n)
	}
	h.RemoveApp("app")
	s.visitors.came.Add(1)
	if n := s.visits(); n != 3 {
		t.Errorf("got %d with a request, and without the app, want 3", n)
	}
}

// TestKeeperGivesMemoryBack has a storm leave garbage.
func TestKeeperGivesMemoryBack(t *testing.T) {
	defer debug.SetGCPercent(debug.SetGCPercent(-1)) // It would be gone before.
	const garbage = 64 << 20
	litter(garbage)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithTimeout(t.Context(), 2*trimEvery)
		defer stop()
		(&keeper{visits: func() int64 { return 0 }}).run(ctx)
	})
	runtime.ReadMemStats(&after)
	if after.HeapReleased < before.HeapReleased+garbage/2 {
		t.Errorf("got %d bytes given back before and %d after, want %d more", before.HeapReleased, after.HeapReleased, garbage/2)
	}
}

// litter makes so much garbage, and touches all of it.
func litter(size int) {
	for range size >> 20 {
		sink = make([]byte, 1<<20)
		for i := 0; i < len(sink); i += 4096 {
			sink[i] = 1
		}
	}
	sink = nil
}

var sink []byte
