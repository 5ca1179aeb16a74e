package realtime

import (
	"container/list"
	"errors"

	"github.com/usher-ws/usher/internal/hub"
)

// adrift are the states that have no transport, and whose they are: those of an
// app, of each of its keys, and of each client, the oldest first. The server
// guards it.
type adrift struct {
	all     map[*state]drifter
	shared  map[whose]map[*state]struct{}
	clients map[whose]*list.List
}

// whose says which states: those of an app where the owner is empty, else those of
// a key or of a client.
type whose struct {
	app   *hub.App
	owner hub.Owner
}

// A drifter is one state there.
type drifter struct {
	owner hub.Owner     // As it was lost.
	place *list.Element // Among those of its client. Nil: it is nobody's in particular.
}

func newAdrift() adrift {
	return adrift{make(map[*state]drifter), make(map[whose]map[*state]struct{}), make(map[whose]*list.List)}
}

// sets are those that share a bound with a state.
func (d drifter) sets(app *hub.App) []whose {
	sets := []whose{{app: app}}
	if d.owner.Key != "" {
		sets = append(sets, whose{app, hub.Owner{Key: d.owner.Key}})
	}
	return sets
}

func (a adrift) add(st *state, owner hub.Owner) {
	a.remove(st)
	one := drifter{owner: owner}
	for _, set := range one.sets(st.app) {
		if a.shared[set] == nil {
			a.shared[set] = make(map[*state]struct{})
		}
		a.shared[set][st] = struct{}{}
	}
	if one.owner.Client != "" {
		its := whose{st.app, one.owner}
		if a.clients[its] == nil {
			a.clients[its] = list.New()
		}
		one.place = a.clients[its].PushBack(st)
	}
	a.all[st] = one
}

func (a adrift) remove(st *state) {
	one, ok := a.all[st]
	if !ok {
		return
	}
	delete(a.all, st)
	for _, set := range one.sets(st.app) {
		if delete(a.shared[set], st); len(a.shared[set]) == 0 {
			delete(a.shared, set)
		}
	}
	if one.place != nil {
		its := whose{st.app, one.owner}
		if a.clients[its].Remove(one.place); a.clients[its].Len() == 0 {
			delete(a.clients, its)
		}
	}
}

// any returns one of those that share a bound, or nil: any of them, since whoever
// leaves many behind has the most there, and the oldest would be others'.
func (a adrift) any(w whose) *state {
	for one := range a.shared[w] {
		return one
	}
	return nil
}

// oldest returns that of a client, or nil.
func (a adrift) oldest(w whose) *state {
	if l := a.clients[w]; l != nil {
		return l.Front().Value.(*state)
	}
	return nil
}

// inTheWay returns a state that may give way to a client that is refused for err,
// or nil.
func (a adrift) inTheWay(err error, g *Grant) *state {
	switch {
	case errors.Is(err, hub.ErrConnections):
		return a.any(whose{app: g.App})
	case errors.Is(err, hub.ErrKeyConnections):
		return a.any(whose{g.App, hub.Owner{Key: g.Key}})
	case errors.Is(err, hub.ErrClientConnections):
		return a.oldest(whose{g.App, g.owner()})
	}
	return nil
}

// makeRoom does f for a client of the grant. Where that is refused because there
// are as many connections as there may be, those that could be resumed give way.
func (s *Server) makeRoom(g *Grant, f func() error) error {
	for {
		err := f()
		s.mu.Lock()
		one := s.adrift.inTheWay(err, g)
		if one != nil {
			s.adrift.remove(one)
		}
		s.mu.Unlock()
		if one == nil {
			return err
		}
		s.forget(one, nil) // Unless it was resumed meanwhile.
	}
}

// Clients are how many clients are connected, and how many connections have lost
// theirs and can be resumed.
func (s *Server) Clients() (connected, disconnected int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.transports), len(s.adrift.all)
}
