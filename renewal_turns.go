package usher

import "sync"

// How many renewals may be under way at one time: of one session, which has a
// few tabs, and in all. Each asks all other nodes.
const (
	maxRenewals          = 256
	maxRenewalsOfSession = 4
)

// renewalTurns counts the renewals that are under way. At a bound the newest is
// turned away.
type renewalTurns struct {
	mu sync.Mutex
	// Guarded by mu.
	total    int
	sessions map[string]int
}

// enter takes a turn for a renewal of session, which leave gives back.
func (t *renewalTurns) enter(session string) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.total >= maxRenewals || t.sessions[session] >= maxRenewalsOfSession {
		return false
	}
	if t.sessions == nil {
		t.sessions = make(map[string]int)
	}
	t.total++
	t.sessions[session]++
	return true
}

func (t *renewalTurns) leave(session string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.total--
	if t.sessions[session]--; t.sessions[session] == 0 {
		delete(t.sessions, session)
	}
}
