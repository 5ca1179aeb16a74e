package hub_test

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// Rates count each name by itself, also where less than one comes in a second.
func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r hub.Rates
		tests := []struct {
			name      string
			perSecond float64
			want      int // Of ten at once, and of one a second for 20 s after them.
			later     int
		}{
			{"none", 0, 0, 0},
			{"less than none", -1, 0, 0},
			{"two", 2, 4, 20},
			{"one in ten seconds", 0.1, 1, 2},
			{"one in a year", 1e-9, 1, 0},
			{"many", 1e12, 10, 20},
		}
		took := make([]int, len(tests))
		for i, tt := range tests {
			for range 10 {
				if r.Take("me", tt.name, 1, tt.perSecond) {
					took[i]++
				}
			}
			if took[i] != tt.want {
				t.Errorf("%s: got %d of ten at once, want %d", tt.name, took[i], tt.want)
			}
		}
		clear(took)
		for range 20 {
			time.Sleep(time.Second)
			for i, tt := range tests {
				if r.Take("me", tt.name, 1, tt.perSecond) {
					took[i]++
				}
			}
		}
		for i, tt := range tests {
			if took[i] != tt.later {
				t.Errorf("%s: got %d of one a second, want %d", tt.name, took[i], tt.later)
			}
		}
		if r.Take("me", "large", 5, 2) {
			t.Error("got five at once where two may come in a second, want them refused")
		}
		// Who uses many names does not get a fresh start by that.
		for i := range 10_000 {
			r.Take("me", fmt.Sprint(i), 1, 1)
		}
		if r.Take("me", "one in a year", 1, 1e-9) {
			t.Error("got another one after many names, want what is due not forgotten")
		}
	})
}

// Low rates are known for long, and so one holder has so many of them; nobody else
// suffers from that.
func TestRatesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var r hub.Rates
		took := func(holder string, names int, perSecond float64) (n int) {
			for i := range names {
				if r.Take(holder, fmt.Sprint(i), 1, perSecond) {
					n++
				}
			}
			return n
		}
		if got := took("me", 5000, 0.001); got != 1024 {
			t.Errorf("got %d names taken, want 1024", got)
		}
		if got := took("you", 1000, 0.001); got != 1000 {
			t.Errorf("got %d names of another taken, want all", got)
		}
		time.Sleep(1001 * time.Second)
		if got := took("me", 5000, 0.001); got != 1024 {
			t.Errorf("got %d names taken once nothing is due, want 1024", got)
		}
		for i := range 1 << 17 {
			if !r.Take(fmt.Sprint(i), "", 1, 0.001) {
				t.Fatal("got one refused since there are many")
			}
		}
	})
}

// Who publishes to a channel without being attached to it is held to its rate for
// as long as it goes on, by whatever else becomes of the channel.
func TestRateOfAChannelThatIsOnlyPublishedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newApp(t, hub.AppOptions{Limits: hub.Limits{ChannelRate: 1}})
		c, took := connect(t, a), 0
		for range 50 { // In 20 s.
			p := hub.Publication{Channel: "chat", Number: int64(took), Messages: []hub.Message{{Data: "x", Form: hub.Text}}}
			if c.Publish(p, func(hub.Position, error) {}) == nil {
				took++
			}
			time.Sleep(400 * time.Millisecond)
		}
		if took < 20 || took > 22 {
			t.Errorf("got %d published in 20 s, want one in each, and one or two more at first", took)
		}
	})
}

// A channel that gives way is not used any more, though a connection remembers it.
func TestPublishToAChannelThatGaveWay(t *testing.T) {
	a := newApp(t, hub.AppOptions{Limits: hub.Limits{AllChannels: 1}})
	c := connect(t, a)
	publish(t, c, "chat", "1")
	publish(t, connect(t, a), "other", "2") // In its place.
	publish(t, c, "chat", "3")
	if names, err := a.Channels(t.Context(), "", "", 10); err != nil || len(names) != 1 || names[0].Name != "chat" {
		t.Errorf("got the channels %v, %v, want the one that was published to last", names, err)
	}
	attach(t, connect(t, a), "chat", hub.Attaching{})
	wantError(t, c.Publish(hub.Publication{Channel: "other", Messages: []hub.Message{{Data: "x"}}}, nil), hub.ErrAllChannels)
	publish(t, c, "chat", "4")
}
