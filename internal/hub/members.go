package hub

// A memberKey tells members of a channel apart.
type memberKey struct{ connection, client string }

// members are who is present on a channel, by the last event of each in the
// order of the log. The channel guards it.
type members struct {
	all map[memberKey]*Message
	// snapshot is all of them, or nil since one has changed. It is never changed.
	snapshot []*Message
}

func newMembers() members { return members{} }

// apply takes what happened. It reports whether the number of members, or of
// their connections, may have changed.
func (s *members) apply(e *Entry) (changed bool) {
	for i := range e.Messages {
		m := &e.Messages[i]
		key := memberKey{m.ConnectionID, m.ClientID}
		_, was := s.all[key]
		switch m.Action {
		case Enter, Update, Present:
			if s.all == nil {
				s.all = make(map[memberKey]*Message)
			}
			s.all[key] = m
			changed = changed || !was
		case Leave:
			delete(s.all, key)
			changed = changed || was
		}
	}
	s.snapshot = nil
	return changed
}

// list returns all members. Nobody changes what it returns.
func (s *members) list() []*Message {
	if s.snapshot == nil && len(s.all) > 0 {
		s.snapshot = make([]*Message, 0, len(s.all))
		for _, m := range s.all {
			s.snapshot = append(s.snapshot, m)
		}
	}
	return s.snapshot
}
