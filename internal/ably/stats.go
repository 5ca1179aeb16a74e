package ably

import "time"

// A Unit is how long the intervals of statistics are.
type Unit string

// The units.
const (
	Minute Unit = "minute"
	Hour   Unit = "hour"
	Day    Unit = "day"
	Month  Unit = "month"
)

// unitLayouts are how the beginning of an interval is written.
var unitLayouts = map[Unit]string{
	Minute: "2006-01-02:15:04", Hour: "2006-01-02:15", Day: "2006-01-02", Month: "2006-01",
}

// ParseUnit reads a unit. Empty is a minute.
func ParseUnit(s string) (Unit, *ErrorInfo) {
	if s == "" {
		return Minute, nil
	}
	if _, ok := unitLayouts[Unit(s)]; !ok {
		return "", Errorf(BadParameter, "unit is minute, hour, day or month, not %q", clip(s))
	}
	return Unit(s), nil
}

// Begin is when the interval begins that t is in, by UTC.
func (u Unit) Begin(t time.Time) time.Time {
	t = t.UTC()
	switch u {
	case Hour:
		return t.Truncate(time.Hour)
	case Day:
		return time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	case Month:
		return time.Date(t.Year(), t.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	return t.Truncate(time.Minute)
}

// Interval names the interval that begins at t.
func (u Unit) Interval(t time.Time) string { return t.UTC().Format(unitLayouts[u]) }

// ParseInterval reads the name of an interval, and says when it begins.
func ParseInterval(s string) (time.Time, bool) {
	for _, layout := range unitLayouts {
		if t, err := time.ParseInLocation(layout, s, time.UTC); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

// Stats are what was counted in one interval.
type Stats struct {
	// Interval names it.
	Interval string
	// Unit is how long it is.
	Unit Unit
	// InProgress names the part of it that is over, where it is not over itself.
	InProgress string
	// App is whose they are.
	App string
	// Entries are the counts by their names; those of 0 are left out.
	Entries map[string]int64
}

func (s *Stats) decode(d *decoder) {
	for name := range d.members {
		switch {
		case s.decodeHead(d, string(name)):
		case string(name) == "entries":
			s.Entries = make(map[string]int64)
			for name := range d.members {
				n := d.integer()
				if len(s.Entries) < maxMembers {
					s.Entries[string(name)] = n
				}
			}
		default:
			d.skip()
		}
	}
}

// decodeHead reads the member called name, if it is not among what was counted.
func (s *Stats) decodeHead(d *decoder, name string) bool {
	switch name {
	case "intervalId":
		s.Interval = d.text()
	case "unit":
		s.Unit = Unit(d.text())
	case "inProgress":
		s.InProgress = d.text()
	case "appId":
		s.App = d.text()
	default:
		return false
	}
	return true
}

func (s *Stats) encodeHead(e *encoder) {
	e.text("intervalId", s.Interval)
	e.text("unit", string(s.Unit))
	e.text("inProgress", s.InProgress)
	e.text("appId", s.App)
}

func (s *Stats) encode(e *encoder) {
	e.begin()
	s.encodeHead(e)
	e.text("schema", "https://schemas.ably.com/json/app-stats-0.0.5.json")
	e.name("entries")
	e.begin()
	for _, name := range sortedKeys(s.Entries) {
		if n := s.Entries[name]; n != 0 {
			e.chosenName(name)
			e.writeInteger(n)
		}
	}
	e.end()
	e.end()
}

// StatsList is a page of statistics.
type StatsList []*Stats

func (l *StatsList) decode(d *decoder) {
	for range d.elements {
		s := new(Stats)
		s.decode(d)
		if len(*l) < maxMembers {
			*l = append(*l, s)
		}
	}
}

func (l *StatsList) encode(e *encoder) { writeList(e, *l) }
