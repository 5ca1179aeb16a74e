package hub

// A memberKey tells members of a channel apart.
type memberKey struct{ connection, client string }

// members are who is present on a channel, by the last event of each in the
// order of the log. The channel guards it.
type members struct {
	all map[memberKey]*Message
	// snapshot is all of them, or nil since one has changed. It is never changed.
	snapshot []*Message

	// touched are those of whom the log has told since the channel was opened, for
	// as long as other nodes have yet to say who is present: the log knows better.
	// partial is set while some have not answered, and news where an answer had
	// somebody new.
	touched       map[memberKey]struct{}
	partial, news bool
}

// apply takes what happened. It reports whether the number of members, or of
// their connections, may have changed.
func (s *members) apply(e *Entry) (changed bool) {
	for i := range e.Messages {
		m := &e.Messages[i]
		key := memberKey{m.ConnectionID, m.ClientID}
		_, was := s.all[key]
		if s.touched != nil {
			s.touched[key] = struct{}{}
		}
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

// add takes those that another node says are present, as far as the log has not
// told of them. It reports whether one is new.
func (s *members) add(list []*Message) (changed bool) {
	for _, m := range list {
		key := memberKey{m.ConnectionID, m.ClientID}
		if _, told := s.touched[key]; told {
			continue
		}
		if s.all == nil {
			s.all = make(map[memberKey]*Message)
		}
		if _, was := s.all[key]; !was {
			s.all[key], s.snapshot, changed = m, nil, true
		}
	}
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
