package realtime

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
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

	rates hub.Rates // By channel, of those that the token limits; and of refusals.

	mu sync.Mutex
	// Guarded by mu.
	clientID  string
	keys      [2][sha256.Size]byte // The newest, and the one that was resumed by: the client may not have heard of the newest.
	transport *transport           // Nil while there is none.
	grace     time.Duration
	timer     *time.Timer // Runs while there is none.
	over      bool
}

// The rates of a connection are what its token limits, and what it is refused.
const ofToken, ofRefusals = "token", "refusals"

// newKey gives the connection a new key. It can be resumed by old still, which
// it was resumed by, if it was.
func (st *state) newKey(old string) string {
	st.mu.Lock()
	defer st.mu.Unlock()
	secret := rand.Text()
	if _, was, ok := strings.Cut(old, "!"); ok {
		st.keys[1] = sha256.Sum256([]byte(was))
	}
	st.keys[0] = sha256.Sum256([]byte(secret))
	return st.conn.ID() + "!" + secret
}

// opens reports whether a secret is of one of the keys. Callers hold mu.
func (st *state) opens(secret string) bool {
	digest := sha256.Sum256([]byte(secret))
	return subtle.ConstantTimeCompare(digest[:], st.keys[0][:])|subtle.ConstantTimeCompare(digest[:], st.keys[1][:]) == 1
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
	if st.over || !st.opens(secret) {
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

// adrift are the states that have no transport, by their apps.
type adrift map[*hub.App]map[*state]struct{}

func (a adrift) add(st *state) {
	if a[st.app] == nil {
		a[st.app] = make(map[*state]struct{})
	}
	a[st.app][st] = struct{}{}
}

func (a adrift) remove(st *state) {
	if delete(a[st.app], st); len(a[st.app]) == 0 {
		delete(a, st.app)
	}
}

// Clients are how many clients are connected, and how many connections have lost
// theirs and can be resumed.
func (s *Server) Clients() (connected, disconnected int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, states := range s.adrift {
		disconnected += len(states)
	}
	return len(s.transports), disconnected
}

// yield ends a connection of an app that has no transport, if there is one: any of
// them, since whoever leaves many behind has the most there.
func (s *Server) yield(app *hub.App) bool {
	s.mu.Lock()
	var one *state
	for one = range s.adrift[app] {
		break
	}
	if one != nil {
		s.adrift.remove(one)
	}
	s.mu.Unlock()
	if one == nil {
		return false
	}
	s.forget(one, nil) // Unless it was resumed meanwhile.
	return true
}

// begin makes a new state. Where there are as many as there may be, those that
// could be resumed give way.
func (s *Server) begin(g *Grant) (*state, error) {
	conn, err := g.App.Connect(g.Key)
	for errors.Is(err, hub.ErrConnections) && s.yield(g.App) {
		conn, err = g.App.Connect(g.Key)
	}
	if err != nil {
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

// adopt makes t the transport of a connection. One that it had is closed, without
// a word.
func (s *Server) adopt(st *state, t *transport, grace time.Duration) error {
	st.mu.Lock()
	if st.over {
		st.mu.Unlock()
		return hub.ErrClosed
	}
	old := st.transport
	st.transport, st.grace = t, grace
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
	s.mu.Lock()
	s.adrift.remove(st)
	s.mu.Unlock()
	st.mu.Unlock()
	if old != nil {
		_ = old.conn.Close()
		st.conn.Lose(grace) // Its cursors are over.
	}
	return st.conn.Return()
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
	st.conn.Lose(st.grace)
	st.timer = time.AfterFunc(max(s.o.StateTTL, st.grace), func() { s.forget(st, nil) })
	s.mu.Lock()
	s.adrift.add(st)
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
