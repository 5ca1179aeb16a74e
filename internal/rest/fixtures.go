package rest

import (
	"encoding/json"
	"io"
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/ably"
)

// A fixture is what an SDK's test says was counted in a minute.
type fixture struct {
	at     time.Time
	counts counts
}

// readFixtures reads the statistics that the SDKs' tests put in: numbers in
// objects in objects, whose names are joined with dots.
func readFixtures(r io.Reader) ([]fixture, error) {
	dec := json.NewDecoder(r)
	dec.UseNumber()
	var list []map[string]any
	if err := dec.Decode(&list); err != nil {
		return nil, ably.Errorf(ably.BadRequest, "not a list of statistics")
	}
	var fixtures []fixture
	for _, one := range list {
		id, _ := one["intervalId"].(string)
		at, ok := ably.ParseInterval(id)
		if !ok {
			return nil, ably.Errorf(ably.BadRequest, "statistics without their interval")
		}
		c := counts{}
		for name, v := range one {
			flatten(c, name, v)
		}
		fixtures = append(fixtures, fixture{at, c})
	}
	return fixtures, nil
}

// flatten adds the numbers in v under their whole names, those of messages also
// to the sums that they belong to.
func flatten(c counts, name string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for key, inner := range v {
			flatten(c, name+"."+key, inner)
		}
	case json.Number:
		n, err := v.Int64()
		if err != nil {
			return
		}
		parts := strings.Split(name, ".")
		if len(parts) != 4 || parts[0] != "inbound" && parts[0] != "outbound" {
			c.merge(counts{name: n})
			return
		}
		for _, direction := range []string{parts[0] + "." + parts[1], parts[0] + ".all", "all"} {
			for _, kind := range []string{parts[2], "all"} {
				c.merge(counts{"messages." + direction + "." + kind + "." + parts[3]: n})
			}
		}
	}
}
