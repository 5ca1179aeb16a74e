package hub_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

// Whatever the ids and their order, an entry is known again for as long as it was
// promised, and one that only looks like another is not.
func TestRepeatsAreKnown(t *testing.T) {
	for seed := range uint64(20) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { randomRepeats(t, rand.New(rand.NewPCG(seed, 3))) })
		})
	}
}

func randomRepeats(t *testing.T, rnd *rand.Rand) {
	type known struct {
		at    hub.Position
		since time.Time
	}
	l, seen := new(hub.MemoryLog), make(map[string]known)
	forms := []string{"%s:%d:0", "%s:%d:0", "%s:%d:0", "%s:0%d:0", "%s:%d:1", "%s:%d", "%s:+%d:0", "%s%d:0", "x%s:%d:0", "%s:%d:0:0", "%s::%d:0"}
	next := make(map[string]int)
	for range 3000 {
		connection := []string{"", "a", "b", "ab"}[rnd.IntN(4)]
		e := hubtest.Entry(hubtest.Chat, "", "text")
		e.ConnectionID = []string{connection, connection, connection, "a"}[rnd.IntN(4)]
		number := next[connection]
		if rnd.IntN(3) > 0 {
			next[connection] += 1 + rnd.IntN(2)
		} else { // An old one again, or one that was left out.
			number = rnd.IntN(number + 2)
		}
		e.Messages[0].ID = fmt.Sprintf(forms[rnd.IntN(len(forms))], connection, number)
		if rnd.IntN(10) == 0 {
			e.Kind = hub.Presence
		}
		key := e.Key().String()
		before, again := seen[key]
		at := hubtest.Append(t, l, e)
		switch age := time.Since(before.since); {
		case again && age <= 2*time.Minute:
			if at != before.at {
				t.Fatalf("%s by %q: got position %d after %v, want the first one's, %d", key, e.ConnectionID, at, age, before.at)
			}
		case again && at == before.at: // For longer than it has to be.
			if age > 2*time.Minute+20*time.Second {
				t.Fatalf("%s: got it known after %v", key, age)
			}
		default:
			for other, k := range seen {
				if k.at == at {
					t.Fatalf("%s by %q: got the position of %s", key, e.ConnectionID, other)
				}
			}
			seen[key] = known{at, time.Now()}
		}
		if rnd.IntN(20) == 0 {
			time.Sleep(time.Duration(rnd.IntN(15)) * time.Second)
		}
	}
}

// What is known of the numbers that connections give is within the bound, too: who
// makes connections without end has no more than anybody.
func TestRepeatsAreBounded(t *testing.T) {
	const room = 20_000
	for _, tt := range []struct {
		name string
		id   func(i int) (connection string, number int)
	}{
		{"of one connection", func(i int) (string, int) { return "c", i }},
		{"of many connections", func(i int) (string, int) { return fmt.Sprint("c", i), 0 }},
		{"of one that counts down", func(i int) (string, int) { return "c", 10_000 - i }},
		{"of two by turns", func(i int) (string, int) { return fmt.Sprint("c", i%2), i }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			l := &hub.MemoryLog{MaxBytes: 16 * room}
			entry := func(i int) *hub.Entry {
				connection, number := tt.id(i)
				e := hubtest.Entry(hubtest.Chat, fmt.Sprintf("%s:%d:0", connection, number), strings.Repeat("x", 10))
				e.ConnectionID = connection
				return e
			}
			const n = 5000
			for i := range n {
				hubtest.Append(t, l, entry(i))
			}
			list, err := l.Read(t.Context(), hubtest.Chat, hub.Range{Limit: n})
			if err != nil || len(list) < 5 || len(list) > room/256 {
				t.Fatalf("got %d entries and %v, want those that fit", len(list), err)
			}
			first := list[0].Position
			if at := hubtest.Append(t, l, entry(n-1)); at < first || at > list[len(list)-1].Position {
				t.Errorf("got position %d for the newest again, want its own", at)
			}
			if at := hubtest.Append(t, l, entry(0)); at <= first {
				t.Errorf("got position %d for the oldest again, want that it was forgotten", at)
			}
		})
	}
}
