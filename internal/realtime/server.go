package realtime

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/alarm"
	"github.com/usher-ws/usher/internal/lexicon"
)

// A Server is the seat of realtime connections.
type Server struct {
	o       Options
	writers *writers
	keys    *keyring
	begun   time.Time
	clock   alarm.Clock // Of the transports.

	reconsidered atomic.Int64 // How often Reconsider was called.

	mu sync.Mutex
	// Guarded by mu.
	states     map[string]*state // By the connection's id.
	adrift     adrift
	transports map[*transport]struct{}
	closed     bool
	held       int            // Handshakes that wait to be refused.
	wg         sync.WaitGroup // Of the transports' goroutines. Nobody is added once it is closed.
}

// New returns a server. After it, Close must be called.
func New(o Options) *Server {
	return &Server{
		o: o.complete(), writers: newWriters(), keys: newKeyring(), begun: time.Now(),
		states: make(map[string]*state), adrift: newAdrift(), transports: make(map[*transport]struct{}),
	}
}

// Close ends every connection, and what is kept of those that have none.
// Clients that should hear of it are told by who ends their connections before,
// as [usher.Sessions.Drain] does.
func (s *Server) Close() {
	s.mu.Lock()
	s.closed = true
	for t := range s.transports {
		_ = t.conn.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
	s.writers.close()
	s.mu.Lock()
	var states []*state
	for _, st := range s.states {
		states = append(states, st)
	}
	s.mu.Unlock()
	for _, st := range states {
		s.forget(st, nil)
	}
}

// settings are what a client asks for as it connects, and what counts until it is
// gone.
type settings struct {
	format  ably.Format
	echo    bool
	maxIdle time.Duration
}

// wishes are settings, and what counts as a client connects.
type wishes struct {
	settings
	resume string
	grace  time.Duration
}

// wishesOf reads the query of a connect (RFC 3986 §3.4). What is not known is
// passed over.
func (s *Server) wishesOf(q url.Values) (wishes, *ably.ErrorInfo) {
	set := wishes{settings: settings{echo: q.Get("echo") != "false", maxIdle: s.o.MaxIdle}, grace: s.o.Grace}
	if name := q.Get("format"); name != "" {
		f, ok := ably.ParseFormat(name)
		if !ok {
			return set, ably.Errorf(ably.BadRequest, "unknown format")
		}
		set.format = f
	}
	if v := q.Get("v"); v != "" {
		if n, err := strconv.ParseFloat(v, 32); err != nil || n < 1 {
			return set, ably.Err(ably.BadVersion)
		}
	}
	set.resume = q.Get("resume")
	if set.resume == "" {
		set.resume = q.Get("recover")
	}
	if ms, ok := millis(q, "remainPresentFor"); ok {
		set.grace = min(ms, maxRemain)
	}
	if ms, ok := millis(q, "heartbeatInterval"); ok && ms > 0 {
		set.maxIdle = max(min(ms, s.o.MaxIdle), minIdle)
	}
	return set, nil
}

func millis(q url.Values, name string) (time.Duration, bool) {
	n, err := strconv.ParseInt(q.Get(name), 10, 32)
	return time.Duration(n) * time.Millisecond, err == nil && n >= 0
}

// ServeHTTP takes over the connection of an admitted upgrade.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	set, info := s.wishesOf(r.URL.Query())
	if info != nil {
		s.Refuse(w, r, info)
		return
	}
	id, err := usher.FromContext(r.Context())
	if err != nil {
		s.Refuse(w, r, ably.ErrorOf(err))
		return
	}
	before := s.reconsidered.Load()
	g, err := s.o.Access.Grant(r)
	if err != nil {
		s.Refuse(w, r, ably.ErrorOf(err))
		return
	}
	st, gone, wrong := s.stateFor(&set, g)
	if wrong != nil {
		s.Refuse(w, r, wrong)
		return
	}
	conn, answer, err := upgrade(w, r)
	if err != nil {
		s.drop(st)
		return
	}
	t := newTransport(r.Context(), s, conn, answer, set.settings, st)
	t.adopt(g)
	if err := s.takeOver(st, t, set.resume, set.grace); err != nil {
		_ = conn.Close()
		return
	}
	if !s.join(t) {
		_ = conn.Close()
		s.forget(st, t)
		return
	}
	usher.OnParting(r.Context(), usher.Parting{Goodbye: t.goodbye, Warning: t.warn, Renewed: t.renewed})
	if now, err := usher.FromContext(r.Context()); err != nil || now != id || s.reconsidered.Load() != before { // It was renewed meanwhile, or all were asked about.
		t.reconsider()
	}
	t.connected(gone)
	if !t.known {
		t.out.send(ping) // Who has nothing to say is heard all the same.
	}
	t.tick()
	go t.serve() // With a stack of its own, which has not grown.
}

// ServesElsewhere says that ServeHTTP returns when it has taken a connection
// over: see [usher.Guard.Detach].
func (*Server) ServesElsewhere() {}

// stateFor returns the state that the client resumes, or a new one, and then
// gone says why it could not resume.
func (s *Server) stateFor(set *wishes, g *Grant) (st *state, gone, wrong *ably.ErrorInfo) {
	if set.resume != "" {
		if st, gone, wrong = s.resume(set.resume, g); st != nil || wrong != nil {
			return st, nil, wrong
		}
		set.resume = ""
	}
	st, err := s.begin(g)
	if err != nil {
		return nil, nil, lexicon.Refusal(err)
	}
	return st, gone, nil
}

// Connection returns the id of an app's connection that a connection key opens:
// for who publishes by REST on its behalf.
func (s *Server) Connection(app, key string) (id string, ok bool) {
	st := s.opened(key)
	if st == nil || st.app.ID() != app {
		return "", false
	}
	return st.conn.ID(), true
}

// drop ends a state whose client was never connected.
func (s *Server) drop(st *state) {
	st.mu.Lock()
	fresh := st.transport == nil && st.timer == nil
	st.mu.Unlock()
	if fresh {
		s.forget(st, nil)
	}
}

func (s *Server) join(t *transport) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.transports[t] = struct{}{}
	s.wg.Add(1)
	return true
}

func (s *Server) leave(t *transport) {
	s.mu.Lock()
	delete(s.transports, t)
	s.mu.Unlock()
	s.wg.Done()
}

// normalClose is a Close frame that has nothing more to say.
var normalClose = control(ws.OpClose, ws.NewCloseFrameBody(ws.StatusNormalClosure, ""))

// errOver ends a reader: the connection is over.
var errOver = errors.New("connection is over")
