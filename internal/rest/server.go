package rest

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
)

// Options say how a Server works.
type Options struct {
	// Registry has the apps. Required.
	Registry *apps.Registry
	// Authority makes tokens and takes them back. Required.
	Authority *apps.Authority
	// Connection finds the connection whose key a message brings that is
	// published on its behalf. Default: there are none.
	Connection func(app, key string) (id string, ok bool)
	// Origins reports whether pages of an origin may read the answers. Default:
	// those of every origin.
	Origins func(origin string) bool
	// Sandbox has the SDKs' own tests make apps for themselves. It lets in
	// anybody: only for a server that nobody else reaches. Nil: nobody can.
	Sandbox *Sandbox
	// Timeout is how long the hub may take. Default: 8 s, less than clients wait.
	Timeout time.Duration
	// WriteTimeout is how long a client may take to have its answer. Default: 1
	// minute.
	WriteTimeout time.Duration
	// ServerID names this node to clients. Default: "usher".
	ServerID string
	// Refused is told of each call that is answered with an error, by its code. It
	// must not block. Default: nobody is.
	Refused func(ably.Code)
	// Log is told of faults. Default: slog.Default().
	Log *slog.Logger
}

// A Server answers the REST side. Its methods may be called by many goroutines at
// once.
type Server struct {
	o     Options
	stats stats
	rates hub.Rates // Of those whose token limits what they publish to a channel, by both.
	under underWay
}

// New returns a server. After it, Close must be called.
func New(o Options) *Server {
	o.Timeout = cmp.Or(o.Timeout, 8*time.Second)
	o.WriteTimeout = cmp.Or(o.WriteTimeout, time.Minute)
	o.ServerID = cmp.Or(o.ServerID, "usher")
	if o.Refused == nil {
		o.Refused = func(ably.Code) {}
	}
	if o.Log == nil {
		o.Log = slog.Default()
	}
	if o.Origins == nil {
		o.Origins = func(string) bool { return true }
	}
	s := &Server{o: o}
	s.stats.start(o.Registry)
	return s
}

// Close ends what New has started.
func (s *Server) Close() {
	s.stats.stop()
	if s.o.Sandbox != nil {
		s.o.Sandbox.close()
	}
}

// Open answers a request that needs no credential, and reports whether it is one:
// what time it is, a preflight, a token request that is signed, and where it is
// allowed the making of apps. Others are for a Guard.
func (s *Server) Open(w http.ResponseWriter, r *http.Request) bool {
	path, ok := segments(r.URL)
	switch {
	case r.Method == http.MethodOptions:
		s.preflight(w, r)
	case !ok:
		s.Refuse(w, r, ably.Err(ably.NotFound))
	case r.Method == http.MethodGet && len(path) == 1 && path[0] == "time":
		s.answer(s.newCall(w, r, path), (*call).time)
	case r.Method == http.MethodPost && isTokenRequest(path) && !brings(r):
		s.answer(s.newCall(w, r, path), (*call).requestToken)
	case len(path) > 0 && path[0] == "comet":
		// SDKs try it beside WebSocket, and give up on it without an Ably error.
		s.headers(w, r)
		w.WriteHeader(http.StatusNotImplemented)
	case s.o.Sandbox != nil && r.Method == http.MethodPost && len(path) == 1 && path[0] == "apps":
		s.answer(s.newCall(w, r, path), (*call).createApp)
	default:
		return false
	}
	return true
}

// brings reports whether a request has a credential that a Guard should see.
func brings(r *http.Request) bool {
	q := r.URL.Query()
	return r.Header.Get("Authorization") != "" || q.Has("key") || q.Has("access_token") || q.Has("accessToken") || q.Has("ticket")
}

// ServeHTTP answers the request of an admitted client.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	path, ok := segments(r.URL)
	if !ok {
		s.Refuse(w, r, ably.Err(ably.NotFound))
		return
	}
	c := s.newCall(w, r, path)
	if err := c.identify(); err != nil {
		s.fail(c, err)
		return
	}
	handle, work := route(r.Method, path)
	done, bad := s.under.begin(c.shares(work))
	if bad != nil {
		s.fail(c, bad)
		return
	}
	defer done()
	s.answer(c, handle)
}

// Refuse answers a request that is not admitted, or makes no sense.
func (s *Server) Refuse(w http.ResponseWriter, r *http.Request, why *ably.ErrorInfo) {
	s.fail(s.newCall(w, r, nil), why)
}
