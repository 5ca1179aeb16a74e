package hub_test

import (
	"fmt"
	"strings"
)

func (m wireMember) key() string { return m.ConnectionID + " " + m.ClientID }

// newer reports whether m comes after old: by the numbers in their ids, where
// both are events that a client has sent, and else by the time.
func (m wireMember) newer(old wireMember) bool {
	var a, b [2]int64
	if m.numbers(&a) && old.numbers(&b) {
		return a[0] > b[0] || a[0] == b[0] && a[1] > b[1]
	}
	return m.Timestamp >= old.Timestamp
}

func (m wireMember) numbers(n *[2]int64) bool {
	rest, ok := strings.CutPrefix(m.ID, m.ConnectionID+":")
	if !ok {
		return false
	}
	_, err := fmt.Sscanf(rest, "%d:%d", &n[0], &n[1])
	return err == nil
}

// apply takes presence events, as an SDK does.
func (v *view) apply(list []wireMember) {
	for _, m := range list {
		delete(v.residue, m.key())
		old, is := v.members[m.key()]
		if is && !m.newer(old) {
			continue
		}
		if m.Action == leave {
			delete(v.members, m.key())
		} else {
			v.members[m.key()] = m
		}
	}
}

// synced takes what a sync shows. At its end, those that it has not shown have
// left.
func (v *view) synced(f frame) {
	sequence, cursor, _ := strings.Cut(f.ChannelSerial, ":")
	if v.residue == nil || v.sync != sequence {
		v.sync = sequence
		v.residue = make(map[string]wireMember, len(v.members))
		for k, m := range v.members {
			v.residue[k] = m
		}
	}
	v.apply(f.Presence)
	if cursor == "" {
		for k := range v.residue {
			delete(v.members, k)
		}
		v.residue = nil
	}
}
