package hub_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/hub/hubtest"
)

// A follower goes on, with what it has seen, whatever becomes of its connection.
type follower struct {
	reader *reader
	from   hub.Position // Of what it saw last.
	seen   []string
	begun  int // How many messages there were before.
}

// TestRandomHistories publishes, repeats, cuts, resumes and forgets at random, on
// two nodes over one log, and holds what all have seen against the order in which
// it was published: each message once, without a gap.
func TestRandomHistories(t *testing.T) {
	for seed := range uint64(60) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { randomHistory(t, rand.New(rand.NewPCG(seed, 2))) })
	}
}

func randomHistory(t *testing.T, rnd *rand.Rand) {
	l := new(hub.MemoryLog)
	o := hub.AppOptions{Limits: hub.Limits{Rate: -1, ChannelRate: -1, Connections: -1}}
	nodes := []*hub.App{newAppOver(t, l, o), newAppOver(t, l, o)}
	var published []string
	var places []hub.Position
	var followers []*follower
	publisher := connect(t, nodes[0])
	publishing := func(text string) hub.Position {
		var at hub.Position
		p := hub.Publication{Channel: "chat", Messages: []hub.Message{{ID: text, Data: text, Form: hub.Text}}}
		if err := publisher.Publish(p, func(place hub.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			at = place
		}); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for range 400 {
		switch f := pick(rnd, followers); {
		case rnd.IntN(3) == 0: // Something new, sometimes many of it.
			for range 1 + rnd.IntN(2)*rnd.IntN(300) {
				text := fmt.Sprint(len(published))
				published, places = append(published, text), append(places, publishing(text))
			}
		case rnd.IntN(6) == 0 && len(published) > 0: // Something once more.
			if i := rnd.IntN(len(published)); publishing(published[i]) != places[i] {
				t.Fatalf("got another place for message %d when it was repeated", i)
			}
		case len(followers) < 4 && rnd.IntN(4) == 0:
			f := &follower{reader: attach(t, connect(t, nodes[rnd.IntN(2)]), "chat", hub.Attaching{}), begun: len(published)}
			f.from = f.reader.Position
			followers = append(followers, f)
		case f != nil && rnd.IntN(4) == 0: // Its connection breaks, and it goes on elsewhere.
			f.reader = attach(t, connect(t, nodes[rnd.IntN(2)]), "chat", hub.Attaching{From: f.from})
			if !f.reader.Resumed {
				t.Fatal("got no resume of what is kept")
			}
		case f != nil:
			f.read(t, 1+rnd.IntN(100))
		}
	}
	for i, f := range followers {
		for f.read(t, 1000) {
		}
		if want := published[f.begun:]; !slices.Equal(f.seen, want) {
			t.Errorf("follower %d: got %d messages, want the %d since it came, in order", i, len(f.seen), len(want))
		}
	}
}

func pick(rnd *rand.Rand, list []*follower) *follower {
	if len(list) == 0 {
		return nil
	}
	return list[rnd.IntN(len(list))]
}

// read takes some of what there is, and reports whether there was any. Who has
// fallen behind attaches again.
func (f *follower) read(t *testing.T, limit int) bool {
	t.Helper()
	list, err := f.reader.Take(t.Context(), nil, limit)
	switch {
	case errors.Is(err, hub.ErrBehind):
		f.reader = attach(t, f.reader.connection, "chat", hub.Attaching{From: f.from})
		return true
	case err != nil:
		t.Fatal(err)
	case len(list) == 0:
		return false
	}
	f.seen = append(f.seen, hubtest.Texts(list)...)
	f.from = list[len(list)-1].Position
	return true
}
