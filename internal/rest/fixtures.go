package rest

import (
	"slices"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// A fixture is what an SDK's test says was counted in a minute.
type fixture struct {
	at     time.Time
	counts counts
}

// fixtures reads the statistics that the SDKs' tests put in, which are of the old
// form.
func (c *call) fixtures() ([]fixture, error) {
	var list ably.OldStats
	if err := c.read(&list); err != nil {
		return nil, err
	}
	var fixtures []fixture
	for _, s := range list {
		at, ok := ably.ParseInterval(s.Interval)
		if !ok {
			return nil, ably.Errorf(ably.BadRequest, "statistics without their interval")
		}
		fixtures = append(fixtures, fixture{at, summed(s.Entries)})
	}
	return fixtures, nil
}

// summed adds the sums to which counts of messages belong. Those that came with
// them say it again.
func summed(entries map[string]int64) counts {
	c := counts{}
	for name, n := range entries {
		parts := strings.Split(name, ".")
		switch {
		case parts[0] != "messages":
			c[name] = n
		case slices.Contains(parts, "all"):
		case len(parts) != 5: // Such as messages.persisted.presence.count.
			c[name] = n
		default: // Such as messages.inbound.realtime.presence.count.
			for _, direction := range []string{parts[1] + "." + parts[2], parts[1] + ".all", "all"} {
				for _, kind := range []string{parts[3], "all"} {
					c.merge(counts{"messages." + direction + "." + kind + "." + parts[4]: n})
				}
			}
		}
	}
	return c
}
