package realtime

import (
	"strings"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// showTime is how long a client has to show that it knows the key of the
// transport with which it has taken a connection over, before the older transport
// is closed all the same.
const showTime = 2 * time.Second

// takeOver makes t the transport of a connection, with a key of its own. One that
// it had gets nothing more, and is closed, without a word, as soon as t is known:
// its client comes back at once, and by a key that is good still it would take the
// connection back, from whoever has recovered it while it lived on.
func (s *Server) takeOver(st *state, t *transport, resume string, grace time.Duration) error {
	st.mu.Lock()
	defer st.mu.Unlock()
	_, secret, _ := strings.Cut(resume, "!")
	by := st.which(s.keys, secret)
	if st.over || secret != "" && by == 0 {
		return hub.ErrClosed // As it is by now.
	}
	st.dismiss()
	if old := st.transport; old != nil {
		st.conn.Lose(grace) // Its cursors are over.
		st.replaced = time.AfterFunc(showTime, func() {
			if t.answers.Load() { // And it has had its time to read.
				s.known(st, t)
			}
			_ = old.conn.Close()
		})
	}
	st.transport, st.grace = t, grace
	if st.timer != nil {
		st.timer.Stop()
		st.timer = nil
	}
	s.mu.Lock()
	s.adrift.remove(st)
	s.mu.Unlock()
	st.newest, st.older = st.newest+1, by
	t.key, t.known = st.newest, resume == ""
	err := st.conn.Return()
	t.stay = st.conn.Stay()
	return err
}

// known is called when the client of t has its key for certain. No other key of
// the connection is good any more.
func (s *Server) known(st *state, t *transport) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.transport == t {
		st.older = 0
		st.dismiss()
	}
}

// dismiss has the older transport closed now, if there is one: by the timer, since
// that can take a while. Callers hold mu.
func (st *state) dismiss() {
	if st.replaced != nil {
		st.replaced.Reset(0)
		st.replaced = nil
	}
}
