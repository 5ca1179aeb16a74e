package realtime

import (
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// A state is what is known of a connection, also while it has no transport: who
// it is, and by which keys it can be resumed. What it has published needs no
// memory: published again, it has the same ids.
type state struct {
	// Immutable.
	conn *hub.Connection
	app  *hub.App

	mu sync.Mutex
	// Guarded by mu.
	clientID  string
	newest    uint32      // The number of its newest key.
	older     uint32      // That of the one that was resumed by, until the client is known to have the newest. Else 0.
	rates     *hub.Rates  // By channel, of those that the token limits; and of refusals. Nil: of none yet.
	transport *transport  // Nil while there is none.
	replaced  *time.Timer // Closes the transport that had the connection before this one. Nil: none had, or this one is known.
	grace     time.Duration
	timer     *time.Timer // Runs while there is none.
	over      bool
}

// The rates of a connection are what its token limits, and what it is refused.
const ofToken, ofRefusals = "token", "refusals"

// limited are the rates of the connection.
func (st *state) limited() *hub.Rates {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.rates == nil {
		st.rates = new(hub.Rates)
	}
	return st.rates
}

// which is the number of the key that has this secret, or 0. Callers hold mu.
func (st *state) which(k *keyring, secret string) uint32 {
	for _, n := range []uint32{st.newest, st.older} {
		if k.is(secret, st.conn.ID(), n) {
			return n
		}
	}
	return 0
}

// opened returns the state that a connection key is of, or nil.
func (s *Server) opened(key string) *state {
	id, secret, ok := strings.Cut(key, "!")
	if !ok || len(id) > 64 || len(secret) > 64 {
		return nil
	}
	s.mu.Lock()
	st := s.states[id]
	s.mu.Unlock()
	if st == nil {
		return nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.over || st.which(s.keys, secret) == 0 {
		return nil
	}
	return st
}

// resume returns the state that a connection key is of, for a transport that
// takes it over. Where there is none, gone says why; wrong is why the client may
// not have it.
func (s *Server) resume(key string, g *Grant) (st *state, gone, wrong *ably.ErrorInfo) {
	if st = s.opened(key); st == nil {
		return nil, ably.Err(ably.ConnectionUnknown), nil
	}
	st.mu.Lock()
	defer st.mu.Unlock()
	switch {
	case st.app != g.App:
		return nil, nil, ably.Errorf(ably.IncompatibleCredential, "the connection is of another app")
	case st.clientID != g.ClientID:
		return nil, nil, ably.Errorf(ably.IncompatibleCredential, "mismatched clientId for existing connection")
	}
	return st, nil, nil
}

// begin makes a new state.
func (s *Server) begin(g *Grant) (*state, error) {
	var conn *hub.Connection
	if err := s.makeRoom(g, func() (err error) {
		conn, err = g.App.Connect(g.owner())
		return err
	}); err != nil {
		return nil, err
	}
	st := &state{conn: conn, app: g.App, clientID: g.ClientID}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		go conn.Close()
		return nil, hub.ErrClosed
	}
	s.states[conn.ID()] = st
	return st, nil
}

// lost is called when a transport is over, by itself. The state is kept for a
// while, if it is not over too.
func (s *Server) lost(st *state, t *transport) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.transport != t || st.over {
		return
	}
	st.transport = nil
	st.dismiss()
	st.conn.Lose(st.grace)
	st.timer = time.AfterFunc(max(s.o.StateTTL, st.grace), func() { s.forget(st, nil) })
	owner := st.conn.Owner()
	s.mu.Lock()
	s.adrift.add(st, owner)
	s.mu.Unlock()
}

// forget ends a connection, if it has no other transport than t.
func (s *Server) forget(st *state, t *transport) {
	st.mu.Lock()
	if st.over || st.transport != t {
		st.mu.Unlock()
		return
	}
	st.over, st.transport = true, nil
	st.dismiss()
	if st.timer != nil {
		st.timer.Stop()
	}
	st.mu.Unlock()
	s.mu.Lock()
	delete(s.states, st.conn.ID())
	s.adrift.remove(st)
	s.mu.Unlock()
	st.conn.Close()
}
