package realtime_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/usher-ws/usher/internal/hub"
)

// A channel has many names, by its params: a client has it by one at a time.
func TestOneNameForAChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		for _, step := range []struct{ say, want string }{
			{`{"action":10,"channel":"[?rewind=1]room"}`, `"action":11`},
			{`{"action":10,"channel":"room"}`, `attached already as \"[?rewind=1]room\"`},
			{`{"action":10,"channel":"[?rewind=2]room"}`, `"code":40000`},
			{`{"action":10,"channel":"[?rewind=1]room"}`, `"action":11`},
			{`{"action":12,"channel":"room"}`, `"action":13`}, // By which it was never attached.
			{`{"action":10,"channel":"room"}`, `"action":9`},
			{`{"action":12,"channel":"[?rewind=1]room"}`, `"action":13`},
			{`{"action":10,"channel":"room"}`, `"action":11`},
		} {
			if err := c.say(step.say); err != nil {
				t.Fatal(err)
			}
			if got := jsonOf(c.next(false)); !strings.Contains(got, step.want) {
				t.Errorf("after %s: got %s, want %s", step.say, got, step.want)
			}
		}
	})
}
