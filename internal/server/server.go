package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/observe"
)

// Options are what a Server needs besides its configuration.
type Options struct {
	// Logs is where the log goes. Default: standard error.
	Logs io.Writer
	// Load reads the configuration again, for Reload. Default: Reload is an
	// error.
	Load func() (*config.Config, error)
	// Ready is called once both listeners accept, with their addresses. Default:
	// nobody is told.
	Ready func(public, admin net.Addr)
	// Key is told the API key of the hub's app that is made where none is
	// configured, before Ready. It is a secret. Default: nobody is told.
	Key func(key usher.Secret)
	// Sandbox has the Ably SDKs' own tests make apps of the hub for themselves,
	// which is there with it. The public listener must be one of loopback.
	// Default: false.
	Sandbox bool
}

// A Server is the gateway: a public listener with the routes of its
// configuration, and an admin listener for its operator.
type Server struct {
	*kept
	options Options
	site    atomic.Pointer[site]

	changing sync.Mutex // Held while one site takes the place of another.
	draining atomic.Bool
	health   health
	started  time.Time // Immutable after New.
	crew     *crew     // Immutable after New.
	reloaded atomic.Pointer[reloadResult]
	prepared *builder // What New has made, until Run adopts it. Guarded by changing.
}

// New returns a server for the configuration, which is complete and was checked:
// see [config.Load]. It opens no listener and no engine, and fetches nothing.
func New(c *config.Config, o Options) (*Server, error) {
	if o.Logs == nil {
		o.Logs = os.Stderr
	}
	if o.Sandbox {
		if err := sandboxed(c); err != nil {
			return nil, err
		}
	}
	s := &Server{options: o, started: time.Now(), crew: newCrew()}
	level := new(slog.LevelVar)
	if err := setLevel(level, c.Log.Level); err != nil {
		return nil, err
	}
	log := observe.NewLogger(o.Logs, level, c.Log.Format)
	var err error
	if s.kept, err = newKept(c, log, level, func() map[string]int { return s.site.Load().pending() }); err != nil {
		return nil, err
	}
	s.sandbox = o.Sandbox
	b := newBuilder(s.kept, c)
	st, err := b.build()
	if err != nil {
		return nil, err
	}
	s.site.Store(st)
	s.prepared = b
	return s, nil
}

func setLevel(to *slog.LevelVar, name string) error {
	var level slog.Level
	if err := level.UnmarshalText([]byte(name)); err != nil {
		return errors.New("log.level: want debug, info, warn or error")
	}
	to.Set(level)
	return nil
}

// Run opens the engine, listens and serves until ctx ends, and then drains: no
// connection is admitted any more, the live ones are told to go, and requests
// under way are answered. Its error is nil if it ended because ctx did. It is
// called once.
func (s *Server) Run(ctx context.Context) (err error) {
	if err := s.openEngine(ctx, s.site.Load().config); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	defer func() {
		if closeErr := s.closeEngine(); err == nil {
			err = closeErr
		}
	}()
	return s.run(ctx)
}

// run is Run with the engine open.
func (s *Server) run(ctx context.Context) error {
	public, admin, err := s.listen()
	if err != nil {
		return err
	}
	s.hub.located(public.Addr(), s.site.Load().config.TLS != nil)
	s.begin()
	defer s.close()
	front, back := s.newHTTP(http.HandlerFunc(s.public)), s.newHTTP(http.HandlerFunc(s.admin))
	front.ConnContext = withConn
	failed := make(chan error, 2)
	var running sync.WaitGroup
	door, receive := s.receive(public, front)
	running.Go(receive)
	running.Go(func() { failed <- serve(front, door, "listen") })
	running.Go(func() { failed <- serve(back, admin, "admin") })
	defer running.Wait()
	keeping, stopKeeping := context.WithCancel(context.WithoutCancel(ctx))
	running.Go(func() { newKeeper(s.visits).run(keeping) })
	defer stopKeeping()
	defer s.crew.stop()
	s.announce(public.Addr(), admin.Addr())
	select {
	case err = <-failed:
		s.log.Error("listener failed", "error", err)
		s.drain(front, 0)
	case <-ctx.Done():
		spread := s.site.Load().config.Drain
		s.log.Info("draining", "connections", s.sessions.Len(), "within", spread)
		s.drain(front, spread)
	}
	if closeErr := back.Close(); err == nil {
		err = closeErr
	}
	s.log.Info("stopped")
	return err
}

func serve(srv *http.Server, l net.Listener, what string) error {
	err := srv.Serve(l)
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// announce logs what there is, in a line for each listener and each route.
func (s *Server) announce(public, admin net.Addr) {
	c := s.site.Load().config
	s.log.Info("listening", "listener", "public", "address", public.String(), "tls", c.TLS != nil, "proxy_protocol", c.ProxyProtocol)
	s.log.Info("listening", "listener", "admin", "address", admin.String())
	s.logRoutes()
	if s.options.Key != nil && s.hub != nil {
		if key := s.hub.onlyKey(); !key.Empty() {
			s.options.Key(key)
		}
	}
	if s.options.Ready != nil {
		s.options.Ready(public, admin)
	}
}

func (s *Server) logRoutes() {
	routes := s.site.Load().routes
	for _, r := range routes {
		s.log.Info("route", "route", r.name, "carriers", r.carriers(), "upstreams", r.addresses())
	}
	c := s.site.Load().config
	if c.Issuer != nil {
		s.log.Info("issuer", "name", c.Issuer.Name, "audience", c.Issuer.Audience, "algorithm", c.Issuer.Algorithm, "rotate", c.Issuer.Rotate)
	}
	if hub := s.site.Load().hub; hub != nil {
		s.log.Info("hub", "path", hubPath, "apps", len(hub.kept.hub.registry.All()))
	} else if len(routes) == 0 {
		s.log.Warn("no routes: nobody can get anywhere")
	}
}

// public serves the public listener. It is never reached by the admin one's.
func (s *Server) public(w http.ResponseWriter, r *http.Request) {
	if lend(w, r) {
		return
	}
	leave := s.visitors.enter(r.Context())
	defer leave()
	boundBody(w, r)
	if r.Header.Get("Upgrade") == "" {
		s.site.Load().ServeHTTP(w, r)
		return
	}
	s.crew.run(func() { s.site.Load().ServeHTTP(w, r) })
}
