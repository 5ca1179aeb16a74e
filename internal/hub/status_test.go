package hub_test

import (
	"fmt"
	"maps"
	"testing"
	"testing/synctest"

	"github.com/usher-ws/usher/internal/hub"
)

func namesOf(list []hub.Listed) []string {
	var names []string
	for _, one := range list {
		names = append(names, one.Name)
	}
	return names
}

// Who lists channels asks the other nodes once, however many there are, and hears
// of each what it would hear if it asked for that alone.
func TestChannelsAreAskedForOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, homes := neighbors(t, 3)
		for i, a := range apps {
			c := connect(t, a)
			for n := range 20 {
				attach(t, c, fmt.Sprint("all:", n), hub.Attaching{})
				attach(t, c, fmt.Sprint(i, ":", n), hub.Attaching{Modes: hub.Subscribe})
			}
			wantError(t, present(c, "all:1", c.ID()+":0", hub.Enter, "a", "b"), nil)
			wantError(t, present(c, fmt.Sprint(i, ":1"), c.ID()+":1", hub.Enter, "a"), nil)
		}
		questions := homes[0].count()
		for i, a := range apps {
			before := questions()
			list, err := a.Channels(t.Context(), "", "", 1000)
			if n := questions() - before; n != 2 || len(list) != 80 || err != nil {
				t.Errorf("node %d: got %d channels for %d questions, %v; want 80 for 2", i, len(list), n, err)
			}
			for _, one := range list {
				o, active, err := a.Occupied(t.Context(), one.Name)
				if want := (hub.Status{Occupancy: o, Active: active}); one.Status != want || err != nil {
					t.Errorf("node %d: got %+v of %s, want %+v", i, one.Status, one.Name, want)
				}
			}
			if list, err := a.Channels(t.Context(), "all:", "all:1", 3); fmt.Sprint(namesOf(list)) != "[all:10 all:11 all:12]" || err != nil {
				t.Errorf("node %d: got %v, %v", i, namesOf(list), err)
			}
		}
	})
}

// A node of an earlier version says which channels it has, and not how many use
// them: then that is not said of those, rather than said wrong.
func TestChannelsOfAnEarlierVersion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		apps, homes := neighbors(t, 3)
		for i, a := range apps {
			c := connect(t, a)
			attach(t, c, fmt.Sprint(i), hub.Attaching{})
			attach(t, c, "all", hub.Attaching{})
		}
		homes[2].change(func(_ hub.Question, a hub.Answer) hub.Answer {
			a.Uses = nil
			return a
		})
		list, err := apps[0].Channels(t.Context(), "", "", 10)
		got := make(map[string]bool)
		for _, one := range list {
			got[one.Name] = one.Uncounted
			if !one.Active || !one.Uncounted && one.Occupancy.Subscribers != 1 {
				t.Errorf("got %+v, want it active, and its one subscriber", one)
			}
		}
		if want := map[string]bool{"0": false, "1": false, "2": true, "all": true}; !maps.Equal(got, want) || err != nil {
			t.Errorf("got %v, %v of what is uncounted, want %v", got, err, want)
		}
	})
}
