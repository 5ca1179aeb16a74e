package hub_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// A history is what was seen in a run.
type history struct {
	mu sync.Mutex
	// Guarded by mu.
	published map[string]*published // By text.
	seen      map[string][]seen     // By who and channel, in order.
	faults    []string              // What was wrong at once.
}

// A published is a message that somebody has published.
type published struct {
	channel string
	serial  string // As acknowledged, or empty.
	refused bool   // It was refused once, and sent again: its place says nothing.
}

// A seen is a message that somebody was told of.
type seen struct{ serial, text string }

func newHistory() *history {
	return &history{published: map[string]*published{}, seen: map[string][]seen{}}
}

func (h *history) fault(format string, args ...any) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.faults) < 100 {
		h.faults = append(h.faults, fmt.Sprintf(format, args...))
	}
}

// found reports whether something was wrong at once.
func (h *history) found() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.faults) > 0
}

// told notes what a subscriber was told.
func (h *history) told(who string, f frame) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := who + " " + f.Channel
	for _, m := range f.Messages {
		h.seen[key] = append(h.seen[key], seen{m.Serial, m.Data})
	}
}

// check returns what of the history breaks a promise. whole names who has seen
// everything from the beginning: it is what the channels have.
func (h *history) check(whole string) []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	c := &checker{history: h, faults: slices.Clone(h.faults), places: map[string]map[string]int{}, logs: map[string][]seen{}}
	for key, list := range h.seen {
		if channel, ok := strings.CutPrefix(key, whole+" "); ok {
			c.log(channel, list)
		}
	}
	for key, list := range h.seen {
		who, channel, _ := strings.Cut(key, " ")
		if who != whole {
			c.subscriber(who, channel, list)
		}
	}
	c.publishers()
	return c.faults
}

type checker struct {
	*history
	faults []string
	logs   map[string][]seen
	places map[string]map[string]int // Of each text, by channel.
}

func (c *checker) fault(format string, args ...any) {
	c.faults = append(c.faults, fmt.Sprintf(format, args...))
}

// log takes what a channel has: each message once, in the order of serials, and
// nothing that nobody has published.
func (c *checker) log(channel string, list []seen) {
	places := make(map[string]int, len(list))
	for i, s := range list {
		if i > 0 && s.serial <= list[i-1].serial {
			c.fault("%s: serial %s comes after %s", channel, s.serial, list[i-1].serial)
		}
		if at, is := places[s.text]; is {
			c.fault("%s: %s is there twice, at %d and %d", channel, s.text, at, i)
		}
		if p := c.published[s.text]; p == nil || p.channel != channel {
			c.fault("%s: %s was not published there", channel, s.text)
		}
		places[s.text] = i
	}
	c.logs[channel], c.places[channel] = list, places
}

// subscriber holds what one was told against what the channel has: all of it
// from some place on, without a gap, in the same order.
func (c *checker) subscriber(who, channel string, list []seen) {
	if len(list) == 0 {
		return
	}
	log := c.logs[channel]
	at, is := c.places[channel][list[0].text]
	if !is {
		c.fault("%s was told of %s, which %s does not have", who, list[0].text, channel)
		return
	}
	for i, s := range list {
		if at+i >= len(log) || log[at+i] != s {
			want := "the end"
			if at+i < len(log) {
				want = log[at+i].text + " " + log[at+i].serial
			}
			c.fault("%s on %s: was told of %s %s as number %d, and the channel has %s there", who, channel, s.text, s.serial, i, want)
			return
		}
	}
	if at+len(list) < len(log) {
		c.fault("%s on %s: was not told of the last %d messages", who, channel, len(log)-at-len(list))
	}
}

// publishers holds what was acknowledged against what the channels have: each
// message at the place that its publisher was told, and those of one publisher
// in the order in which they were sent.
func (c *checker) publishers() {
	last := map[string]int{} // The place of each publisher's last message, by channel.
	for _, text := range sortedTexts(c.published) {
		p := c.published[text]
		at, is := c.places[p.channel][text]
		switch {
		case !is && p.serial != "":
			c.fault("%s: %s was acknowledged, and is not there", p.channel, text)
			continue
		case !is:
			continue
		case p.serial != "" && c.logs[p.channel][at].serial != p.serial:
			c.fault("%s: %s was acknowledged as %s, and is %s", p.channel, text, p.serial, c.logs[p.channel][at].serial)
		}
		who, _, _ := strings.Cut(text, "-")
		key := who + " " + p.channel
		if before, was := last[key]; was && at < before && !p.refused {
			c.fault("%s: %s comes before a message that its publisher sent earlier", p.channel, text)
		}
		if !p.refused { // It was sent again, behind others.
			last[key] = max(last[key], at)
		}
	}
}

func sortedTexts(m map[string]*published) []string {
	list := make([]string, 0, len(m))
	for text := range m {
		list = append(list, text)
	}
	slices.Sort(list)
	return list
}
