package ably

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxRewind is how many messages a rewind goes back at most.
const MaxRewind = 100

// ChannelOptions are what the params of a channel ask for.
type ChannelOptions struct {
	// Modes are those asked for, 0 if none are.
	Modes Flags
	// Rewind begins so many messages ago, and RewindFor so long ago, at the later
	// of both where both are set.
	Rewind    int
	RewindFor time.Duration
	// Occupancy is which metrics are wanted: none, one or some of them, or all.
	Occupancy OccupancyMetrics
	// Known are the params that were understood, to be told back.
	Known Params
}

// ChannelOptions reads the params of a channel. Those of the name count where
// the others do not say. An unknown one is passed over; an unknown value of a
// known one is refused.
func (p Params) ChannelOptions(ofName Params) (o ChannelOptions, bad *ErrorInfo) {
	if len(p)+len(ofName) == 0 {
		return o, nil
	}
	all := maps.Clone(ofName)
	if all == nil {
		all = make(Params, len(p))
	}
	maps.Copy(all, p)
	o.Known = make(Params)
	for _, name := range sortedKeys(all) {
		value, known := all[name], true
		switch name {
		case "modes":
			o.Modes, bad = ParseModes(value)
		case "rewind":
			o.Rewind, o.RewindFor, bad = parseRewind(value)
		case "occupancy":
			o.Occupancy, bad = parseOccupancy(value)
		case "delta":
			bad = Errorf(BadRequest, "deltas are not supported")
		default:
			known = false
		}
		if bad != nil {
			return ChannelOptions{}, bad
		}
		if known {
			o.Known[name] = value
		}
	}
	return o, nil
}

// rewindUnits are the units that a time to rewind has.
var rewindUnits = map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}

// maxRewindFor bounds a time to rewind, long past what is kept anywhere.
const maxRewindFor = 366 * 24 * time.Hour

func parseRewind(s string) (count int, since time.Duration, bad *ErrorInfo) {
	digits, unit := s, time.Duration(0)
	if s != "" {
		if u, ok := rewindUnits[s[len(s)-1]]; ok {
			digits, unit = s[:len(s)-1], u
		}
	}
	n, err := strconv.ParseUint(digits, 10, 31)
	switch {
	case err != nil:
		return 0, 0, Errorf(BadRequest, "rewind is a number of messages or a time such as 30s or 2m, not %q", clip(s))
	case unit == 0, n == 0:
		return min(int(n), MaxRewind), 0, nil
	case n > uint64(maxRewindFor/unit):
		return MaxRewind, maxRewindFor, nil
	}
	return MaxRewind, time.Duration(n) * unit, nil
}

// OccupancyMetrics is a set of metrics: a bit for each, in the order of their
// names.
type OccupancyMetrics uint16

// metricNames are the metrics of a channel's occupancy.
var metricNames = []string{
	"connections", "presenceConnections", "presenceMembers", "presenceSubscribers", "publishers", "subscribers",
	"objectPublishers", "objectSubscribers",
}

const allMetrics OccupancyMetrics = 1<<8 - 1

func parseOccupancy(list string) (set OccupancyMetrics, bad *ErrorInfo) {
	for name := range strings.SplitSeq(list, ",") {
		if name == "metrics" {
			set |= allMetrics
			continue
		}
		metric, _ := strings.CutPrefix(name, "metrics.")
		i := slices.Index(metricNames, metric)
		if i < 0 || metric == name {
			return 0, Errorf(BadRequest, "occupancy is metrics, or metrics. and one of %s, not %q",
				strings.Join(metricNames, " "), clip(name))
		}
		set |= 1 << i
	}
	return set, nil
}

// An Occupancy is how many use a channel, those of Metrics only.
type Occupancy struct {
	// Metrics are the ones that are told. Default: all.
	Metrics OccupancyMetrics
	// Connections and so on are the metrics.
	Connections, PresenceConnections, PresenceMembers, PresenceSubscribers, Publishers, Subscribers int
}

func (o *Occupancy) decode(d *decoder) {
	for name := range d.members {
		if string(name) != "metrics" {
			d.skip()
			continue
		}
		for metric := range d.members {
			n := int(d.integer())
			i, fields := slices.Index(metricNames, string(metric)), o.fields()
			if i >= 0 {
				o.Metrics |= 1 << i
			}
			if i >= 0 && i < len(fields) {
				*fields[i] = n
			}
		}
	}
}

func (o *Occupancy) fields() []*int {
	return []*int{
		&o.Connections, &o.PresenceConnections, &o.PresenceMembers, &o.PresenceSubscribers, &o.Publishers, &o.Subscribers,
	}
}

func (o *Occupancy) encode(e *encoder) {
	told := o.Metrics
	if told == 0 {
		told = allMetrics
	}
	e.begin()
	e.name("metrics")
	e.begin()
	fields := o.fields()
	for i, name := range metricNames {
		n := 0
		if i < len(fields) {
			n = *fields[i]
		}
		if told&(1<<i) != 0 {
			e.alwaysInteger(name, int64(n))
		}
	}
	e.end()
	e.end()
}
