package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/usher-ws/usher/internal/hub"
)

// crowd has n members enter a channel, with data of a size each.
func crowd(t *testing.T, s *site, n, size int) {
	t.Helper()
	c := s.connect(t, "access_token=key", false)
	c.next(false)
	if err := c.say(`{"action":10,"channel":"room","params":{"modes":"PRESENCE"}}`); err != nil {
		t.Fatal(err)
	}
	c.next(false)
	data := strings.Repeat("x", size)
	for i := range n {
		if err := c.say(fmt.Sprintf(`{"action":14,"channel":"room","msgSerial":%d,"presence":[{"action":2,"clientId":"c%d","data":%q}]}`, i, i, data)); err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1`) {
			t.Fatalf("got %s for member %d, want ACK", got, i)
		}
	}
}

// However many are present, who attaches is told, in frames of a bounded size.
func TestLargeSync(t *testing.T) {
	for _, test := range []struct{ members, size, frames int }{{100, 60_000, 100}, {250, 10, 3}} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, hub.Limits{Rate: -1, ChannelRate: -1})
			crowd(t, s, test.members, test.size)
			c := s.connect(t, "access_token=alice", false)
			c.next(false)
			for _, ask := range []string{`{"action":10,"channel":"room"}`, `{"action":16,"channel":"room"}`} {
				if err := c.say(ask); err != nil {
					t.Fatal(err)
				}
				frames, seen, last := 0, map[string]bool{}, ""
				for v := c.next(false); v != nil; v = c.next(false) {
					list, sync := v.(map[string]any)["presence"].([]any)
					if !sync {
						continue
					}
					frames++
					last = textOf(v, "channelSerial")
					for _, m := range list {
						seen[textOf(m, "clientId")] = true
					}
				}
				if len(seen) != test.members || frames != test.frames || !strings.HasSuffix(last, ":") || c.end() != "" {
					t.Errorf("%s: got %d members in %d frames, the last %q, end %q; want %d in %d", ask, len(seen), frames, last, c.end(), test.members, test.frames)
				}
			}
		})
	}
}

// After a detach nothing more is told of who is present.
func TestDetachEndsSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Rate: -1, ChannelRate: -1})
		crowd(t, s, 20, 60_000)
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		stuck := make(chan struct{})
		c.note(func() { c.stuck = stuck })
		for _, say := range []string{`{"action":10,"channel":"room"}`, `{"action":12,"channel":"room"}`} {
			if err := c.say(say); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		c.note(func() { c.stuck = nil })
		close(stuck)
		last, syncs := "", 0
		for v := c.next(false); v != nil; v = c.next(false) {
			last = fmt.Sprint(v.(map[string]any)["action"])
			if last == "16" {
				syncs++
			}
		}
		if last != "13" || syncs >= 20 {
			t.Errorf("got %d SYNC and action %s at last, want that DETACHED ends them", syncs, last)
		}
	})
}

// Nobody may be there any more when who is present is told: that is told, too, or
// clients wait for it.
func TestEmptySync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		member := s.connect(t, "access_token=bob", false)
		member.next(false)
		member.mustSay(t, `{"action":10,"channel":"room"}`)
		member.mustSay(t, `{"action":14,"channel":"room","msgSerial":0,"presence":[{"action":2}]}`)
		synctest.Wait()
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		stuck := make(chan struct{})
		c.note(func() { c.stuck = stuck })
		c.mustSay(t, `{"action":0,"id":"is read"}`)
		synctest.Wait()
		c.mustSay(t, `{"action":0,"id":"is not"}`)
		synctest.Wait() // What follows does not go with it, by one write.
		c.mustSay(t, `{"action":10,"channel":"room"}`)
		synctest.Wait()
		member.mustSay(t, `{"action":7}`)
		synctest.Wait()
		c.note(func() { c.stuck = nil })
		close(stuck)
		var got []string
		for v := c.next(false); v != nil; v = c.next(false) {
			got = append(got, jsonOf(v))
		}
		if len(got) < 4 || !strings.Contains(got[2], `"flags":3080193`) || !strings.Contains(got[3], `"action":16`) || !strings.Contains(got[3], `"presence":[]`) {
			t.Errorf("got %s, want ATTACHED with HAS_PRESENCE, and a SYNC of nobody", got)
		}
	})
}
