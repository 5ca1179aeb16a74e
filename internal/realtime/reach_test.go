package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// To attach with an old serial is to read history: it takes that capability, but
// for as long as a client takes to come back. Nor does it reach what the channel
// itself keeps no more.
func TestAttachFromLongAgo(t *testing.T) {
	tests := []struct {
		name, token, channel string
		ago                  time.Duration
		resumed              bool
	}{
		{"cut off a moment ago", "reader", "kept:room", 2 * time.Minute, true},
		{"without history", "reader", "kept:room", 3 * time.Minute, false},
		{"with history", "bob", "kept:room", 3 * time.Minute, true},
		{"with history, not kept", "bob", "brief:room", 12 * time.Minute, false},
	}
	for _, tt := range tests {
		for _, entries := range []int{1, 6000} { // In the ring, and beyond it.
			t.Run(fmt.Sprint(tt.name, " ", entries), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := newSite(t, hub.Limits{})
					s.app = s.hub.SetApp("app", hub.AppOptions{Limits: hub.Limits{ChannelRate: -1}, Namespaces: map[string]hub.Namespace{
						"kept": {Retention: 24 * time.Hour}, "brief": {Retention: 10 * time.Minute},
					}})
					c := s.connect(t, "access_token="+tt.token, false)
					c.next(false)
					attach := func(serial string) string {
						t.Helper()
						if err := c.say(`{"action":10,"channel":"` + tt.channel + `"` + serial + `}`); err != nil {
							t.Fatal(err)
						}
						return jsonOf(c.next(false))
					}
					_, serial, _ := strings.Cut(attach(""), `"channelSerial":"`)
					serial, _, _ = strings.Cut(serial, `"`)
					if err := c.say(`{"action":12,"channel":"` + tt.channel + `"}`); err != nil {
						t.Fatal(err)
					}
					c.next(false)
					for i := range entries {
						p := hub.Publication{Channel: tt.channel, Messages: []hub.Message{{Data: fmt.Sprint("old ", i), Form: hub.Text}}}
						if _, err := s.app.Publish(t.Context(), "", p); err != nil {
							t.Fatal(err)
						}
					}
					time.Sleep(tt.ago)
					got := attach(`,"channelSerial":"` + serial + `"`)
					if resumed := !strings.Contains(got, `"error"`); resumed != tt.resumed {
						t.Errorf("got %s, want it resumed: %t", got, tt.resumed)
					}
					if err := c.say(`{"action":0,"id":"end"}`); err != nil {
						t.Fatal(err)
					}
					seen := 0
					for {
						next := jsonOf(c.next(false))
						if strings.Contains(next, `"id":"end"`) {
							break
						}
						seen += strings.Count(next, `"data":"old `)
					}
					if (seen > 0) != tt.resumed {
						t.Errorf("got %d messages of before, resumed: %t", seen, tt.resumed)
					}
				})
			})
		}
	}
}
