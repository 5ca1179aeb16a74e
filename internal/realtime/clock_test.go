package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// A client that only listens is asked for a sign of life also where so much goes
// out to it that no heartbeat is needed, and is let go where it gives none.
func TestListenerOfBusyChannel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		listener, speaker := s.connect(t, "access_token=alice", false), s.connect(t, "access_token=bob", false)
		for _, c := range []*client{listener, speaker} {
			c.next(false)
			if err := c.say(`{"action":10,"channel":"busy"}`); err != nil {
				t.Fatal(err)
			}
		}
		speak := func(from, upTo int) {
			for i := from; i < upTo; i++ {
				if err := speaker.say(fmt.Sprintf(`{"action":15,"channel":"busy","msgSerial":%d,"messages":[{"data":"x"}]}`, i)); err != nil {
					t.Fatal(err)
				}
				time.Sleep(5 * time.Second)
			}
		}
		speak(0, 120)
		if got := listener.end(); got != "" {
			t.Fatalf("got end %q of a client that listens for ten minutes", got)
		}
		listener.note(func() { listener.mute = true })
		speak(120, 132)
		if got := listener.end(); got != "cut" {
			t.Errorf("got end %q of one that answers no Ping, want that it was let go", got)
		}
	})
}

// A client whose tokens are short is asked for another in time, and not again at
// once when that comes.
func TestShortTokensAreAskedForInTurn(t *testing.T) {
	for name, c := range map[string]struct {
		token string
		want  time.Duration // Until it is asked.
	}{
		"a minute":    {"minute", 30 * time.Second},
		"ten seconds": {"ten", 3 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hub.Limits{})
				client := s.connect(t, "access_token="+c.token, false)
				client.next(false)
				for range 3 {
					time.Sleep(c.want - time.Second)
					if got := client.next(false); got != nil {
						t.Fatalf("got %v before it is time", got)
					}
					time.Sleep(time.Second)
					if got := jsonOf(client.next(false)); got != `{"action":17}` {
						t.Fatalf("got %s, want AUTH", got)
					}
					if err := client.say(fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, c.token)); err != nil {
						t.Fatal(err)
					}
					if got := jsonOf(client.next(false)); !strings.Contains(got, `"action":4`) {
						t.Fatalf("got %s, want CONNECTED", got)
					}
				}
			})
		})
	}
}
