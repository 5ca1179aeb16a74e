package server

import (
	"context"
	"errors"
	"reflect"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
)

// keysTime is how long a reload waits for keys that it has not at hand, so that
// the first handshakes after it need not.
const keysTime = 5 * time.Second

// A reloadResult is what became of the last reload.
type reloadResult struct {
	at  time.Time
	err error
}

// begin starts what New has made.
func (s *Server) begin() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.start(s.prepared)
	s.adopt(s.prepared)
	s.prepared = nil
}

// close ends what begin and Reload have started.
func (s *Server) close() {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.kept.close()
}

// Reload reads the configuration again and puts what it says in force: routes,
// secrets and certificates, for the requests that come from then on. Live
// connections go on. An error changes nothing, and is logged. It is for a
// server that runs.
func (s *Server) Reload() error {
	s.changing.Lock()
	defer s.changing.Unlock()
	err := s.reload()
	s.reloaded.Store(&reloadResult{time.Now(), err})
	s.metrics.Reloaded(err)
	if err != nil {
		s.log.Error("configuration not loaded; the last one stays in force", "error", err)
		return err
	}
	s.log.Info("configuration loaded", "connections", s.sessions.Len())
	s.logRoutes()
	return nil
}

func (s *Server) reload() error {
	switch {
	case s.options.Load == nil:
		return errors.New("there is nothing to load it from")
	case s.draining.Load():
		return errors.New("the server is on its way out")
	}
	c, err := s.options.Load()
	if err != nil {
		return err
	}
	old := s.site.Load()
	if s.sandbox {
		if err := sandboxed(c); err != nil {
			return err
		}
	}
	s.warnOfFixed(old.config, c)
	if (old.config.Hub == nil) != (c.Hub == nil) { // Of which a warning told.
		c.Hub = old.config.Hub
	}
	b := newBuilder(s.kept, c)
	st, err := b.build()
	if err != nil {
		return err
	}
	if err := s.openTokens(c); err != nil {
		return err
	}
	if (st.cert == nil) != (old.cert == nil) { // Of which a warning told.
		st.cert = old.cert
	}
	if err := setLevel(s.level, c.Log.Level); err != nil {
		return err
	}
	s.start(b)
	fetchAhead(b.keySets)
	s.site.Store(st)
	s.adopt(b)
	return nil
}

// openTokens opens what a new issuer needs of the engine.
func (s *Server) openTokens(c *config.Config) error {
	ctx, cancel := context.WithTimeout(context.Background(), changeTime)
	defer cancel()
	return s.tokens.open(ctx, s.engine, c.Issuer)
}

// warnOfFixed names what has changed and needs a restart.
func (s *Server) warnOfFixed(old, c *config.Config) {
	for _, fixed := range []struct {
		key     string
		changed bool
	}{
		{"listen", old.Listen != c.Listen},
		{"admin", old.Admin != c.Admin},
		{"tls", (old.TLS == nil) != (c.TLS == nil)},
		{"proxy_protocol", old.ProxyProtocol != c.ProxyProtocol},
		{"log.format", old.Log.Format != c.Log.Format},
		{"hub", (old.Hub == nil) != (c.Hub == nil)},
		{"hub.durability", old.Hub != nil && c.Hub != nil && old.Hub.Durability != c.Hub.Durability},
		{"engine", !reflect.DeepEqual(old.Engine, c.Engine)},
		{"sessions.keep_revocations", old.Sessions.KeepRevocations != c.Sessions.KeepRevocations},
	} {
		if fixed.changed {
			s.log.Warn("changed, but stays as it was until a restart", "key", fixed.key)
		}
	}
}

// fetchAhead waits until each set has keys, or for keysTime.
func fetchAhead(sets map[keySource]*usher.JWKS) {
	ctx, cancel := context.WithTimeout(context.Background(), keysTime)
	defer cancel()
	var fetching sync.WaitGroup
	for _, keys := range sets {
		// What fails is logged by the set, and told by readiness.
		fetching.Go(func() { _, _ = keys.Keys(ctx, "") })
	}
	fetching.Wait()
}
