package hub_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestMemoryLog(t *testing.T) {
	hubtest.TestLog(t, func(*testing.T) []hub.Log { return []hub.Log{new(hub.MemoryLog)} })
}

func TestMemoryLogForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(hub.MemoryLog)
		kept := hub.Name{App: "app", Channel: "kept", Kept: true}
		first := hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, "1", "1"))
		hubtest.Append(t, l, hubtest.Entry(kept, "1", "1"))
		time.Sleep(119 * time.Second)
		if again := hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, "1", "1")); again != first {
			t.Errorf("got position %v after 119 s, want the first one's", again)
		}
		time.Sleep(20 * time.Second)
		if again := hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, "1", "1")); again <= first {
			t.Errorf("got position %v after 139 s, want a new one", again)
		}
		after, _, err := l.Bounds(t.Context(), hubtest.Chat)
		if err != nil || after != first {
			t.Errorf("got bound %v and %v, want that of what was dropped, %v", after, err, first)
		}
		time.Sleep(23 * time.Hour)
		list, err := l.Read(t.Context(), kept, hub.Range{Limit: 10})
		if err != nil || len(list) != 1 {
			t.Errorf("got %d entries and %v of a channel whose history is kept, want 1", len(list), err)
		}
	})
}

func TestMemoryLogKeepsForLonger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := new(hub.MemoryLog)
		kept := hub.Name{App: "app", Channel: "kept", Kept: true}
		hubtest.Append(t, l, hubtest.Entry(kept, "1", "1"))
		l.Keep(72 * time.Hour)
		l.Keep(48 * time.Hour) // It is never made shorter.
		for i, want := range []int{2, 1} {
			time.Sleep(71*time.Hour + 50*time.Minute)
			hubtest.Append(t, l, hubtest.Entry(kept, fmt.Sprint("later", i), "1"))
			list, err := l.Read(t.Context(), kept, hub.Range{Limit: 10})
			if err != nil || len(list) != want+i {
				t.Errorf("got %d entries and %v, want %d", len(list), err, want+i)
			}
		}
	})
}

func TestMemoryLogIsBounded(t *testing.T) {
	l := &hub.MemoryLog{MaxBytes: 16 * 10_000}
	text := strings.Repeat("x", 1000)
	for i := range 100 {
		hubtest.Append(t, l, hubtest.Entry(hubtest.Chat, fmt.Sprint(i), text))
	}
	list, err := l.Read(t.Context(), hubtest.Chat, hub.Range{Limit: 100})
	if err != nil || len(list) == 0 || len(list) > 10 || list[len(list)-1].Key().String() != "m99" {
		t.Errorf("got %d entries and %v, want the newest that fit", len(list), err)
	}
	if after, _, _ := l.Bounds(t.Context(), hubtest.Chat); after >= list[0].Position || after == 0 {
		t.Errorf("got bound %v, want it just before %v", after, list[0].Position)
	}
	// What is known of them to tell repeats is bounded, too.
	small := &hub.MemoryLog{MaxBytes: 16 * 10_000}
	for i := range 1000 {
		hubtest.Append(t, small, hubtest.Entry(hubtest.Chat, fmt.Sprint(i), ""))
	}
	first, err := small.Read(t.Context(), hubtest.Chat, hub.Range{Limit: 1})
	if err != nil || len(first) != 1 {
		t.Fatalf("got %d entries and %v", len(first), err)
	}
	if again := hubtest.Append(t, small, hubtest.Entry(hubtest.Chat, "0", "")); again < first[0].Position {
		t.Errorf("got the position %v of a message from long ago, want that its key was forgotten", again)
	}
	if again := hubtest.Append(t, small, hubtest.Entry(hubtest.Chat, "999", "")); again < first[0].Position {
		t.Errorf("got a position %v before all that is kept", again)
	}
	if _, err := hubtest.TryAppend(l, hubtest.Entry(hubtest.Chat, "large", strings.Repeat("x", 20_000))); !errors.Is(err, hub.ErrFull) {
		t.Errorf("got %v for what never fits, want ErrFull", err)
	}
}

// Who fills the log with one channel has nobody else's refused, and loses that
// channel's oldest for them.
func TestMemoryLogHasRoomForOthers(t *testing.T) {
	l := &hub.MemoryLog{MaxBytes: 16 * 100_000}
	text := strings.Repeat("x", 10_000)
	for i := range 1000 { // Some in each of its parts.
		n := hub.Name{App: "evil", Channel: fmt.Sprint(i % 100)}
		hubtest.Append(t, l, hubtest.Entry(n, fmt.Sprint(i), text))
	}
	for i := range 100 {
		n := hub.Name{App: "good", Channel: fmt.Sprint(i)}
		for _, id := range []string{"1", "2"} {
			if _, err := hubtest.TryAppend(l, hubtest.Entry(n, id, "small")); err != nil {
				t.Fatalf("got %v, want room for what others publish", err)
			}
		}
	}
	for i := range 100 {
		n := hub.Name{App: "good", Channel: fmt.Sprint(i)}
		if list, err := l.Read(t.Context(), n, hub.Range{Limit: 3}); err != nil || len(list) != 2 {
			t.Errorf("got %d entries and %v of a small channel, want what was published", len(list), err)
		}
	}
}

func TestPosition(t *testing.T) {
	p := hub.Position(1764484948123456)
	const serial = "01764484948123-456@usher:007"
	if got := p.Serial(7); got != serial {
		t.Errorf("got %s, want %s", got, serial)
	}
	for text, want := range map[string]hub.Position{serial: p, p.String(): p, "01764484948123-456@usher": p} {
		if got, ok := hub.ParsePosition(text); !ok || got != want {
			t.Errorf("%s: got %d, %t, want %d", text, got, ok, want)
		}
	}
	for _, text := range []string{"", "x", "1764484948123-456@usher", "01764484948123-45@usher", "01764484948123-456", "01764484948123-456@usherx", "+1764484948123-456@usher", "01764484948123-+56@usher"} {
		if got, ok := hub.ParsePosition(text); ok {
			t.Errorf("%q: got %d, want no position", text, got)
		}
	}
}
