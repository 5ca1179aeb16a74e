package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// What a token says of its holder arrives with each message and each member, and
// what a client says of itself does not.
func TestUserClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		for _, pack := range []bool{false, true} {
			for token, want := range map[string]string{"limited": `"extras":{"a":1,"userClaim":"guest"}`, "bob": `"extras":{"a":1}`} {
				room := "room"
				seen := s.connect(t, "access_token=reader", pack)
				c := s.connect(t, "access_token="+token, pack)
				seen.next(false)
				c.next(false)
				seen.mustSay(t, `{"action":10,"channel":"`+room+`"}`)
				seen.next(false)
				c.mustSay(t, `{"action":10,"channel":"`+room+`","flags":196608}`) // Without what comes.
				c.next(false)
				c.mustSay(t, `{"action":15,"channel":"`+room+`","msgSerial":0,"messages":[{"extras":{"userClaim":"admin","a":1}}]}`)
				if got := jsonOf(seen.next(false)); !strings.Contains(got, want) {
					t.Errorf("%s: got %s, want %s", token, got, want)
				}
				c.mustSay(t, `{"action":14,"channel":"`+room+`","msgSerial":1,"presence":[{"action":2,"extras":{"userClaim":"admin","a":1}}]}`)
				if got := jsonOf(seen.next(false)); !strings.Contains(got, want) {
					t.Errorf("%s: got %s, want %s", token, got, want)
				}
				c.mustSay(t, `{"action":7}`)
				seen.mustSay(t, `{"action":7}`)
				synctest.Wait()
				time.Sleep(5 * time.Second)
			}
		}
	})
}

func (c *client) mustSay(t *testing.T, text string) {
	t.Helper()
	if err := c.say(text); err != nil {
		t.Fatal(err)
	}
}

// A client whose token limits it gets no more through: not without attaching, not
// by attaching again, not in one frame, and not by a resume. Elsewhere it is not
// limited.
func TestRateOfToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		seen := s.connect(t, "access_token=bob&echo=false", false)
		seen.next(false)
		for _, room := range []string{"room", "other"} {
			seen.mustSay(t, `{"action":10,"channel":"`+room+`"}`)
			seen.next(false)
		}
		c := s.connect(t, "access_token=limited&echo=false", false)
		key := textOf(c.next(false), "connectionDetails", "connectionKey")
		serial, passed := 0, 0
		publish := func(room, messages string) {
			t.Helper()
			c.mustSay(t, fmt.Sprintf(`{"action":15,"channel":%q,"msgSerial":%d,"messages":[%s]}`, room, serial, messages))
			serial++
			switch got := jsonOf(c.next(true)); {
			case strings.Contains(got, `"action":1`):
				passed++
			case !strings.Contains(got, `"code":42911`):
				t.Fatalf("got %s, want it taken, or 42911", got)
			}
		}
		for i := range 30 { // 15 s.
			publish("room", `{"data":"x"}`)
			publish("room", `{"data":"x"},{"data":"x"}`)
			publish("other", `{"data":"y"}`)
			switch i % 3 {
			case 0:
				c.mustSay(t, `{"action":10,"channel":"room"}`)
				c.next(false)
			case 1:
				c.mustSay(t, `{"action":12,"channel":"room"}`)
				c.next(false)
			case 2:
				_ = c.conn.Close()
				synctest.Wait()
				c = s.connect(t, "access_token=limited&echo=false&resume="+key, false)
				key = textOf(c.next(false), "connectionDetails", "connectionKey")
			}
			time.Sleep(500 * time.Millisecond)
		}
		got := map[string]int{}
		for v := seen.next(false); v != nil; v = seen.next(false) {
			m, _ := v.(map[string]any)
			list, _ := m["messages"].([]any)
			got[textOf(v, "channel")] += len(list)
		}
		if got["room"] != 8 || got["other"] != 30 || passed != 38 {
			t.Errorf("got %v, and %d that were taken, want 8 in room, one in two seconds, and 30 in the other", got, passed)
		}
	})
}
