package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/realtime"
	"github.com/usher-ws/usher/internal/rest"
)

// A hubService is the hub with its translators. It outlives configurations: a new
// one changes its apps and who may come in.
type hubService struct {
	// Immutable after openHub.
	log       *engine.Log
	hub       *hub.Hub
	registry  *apps.Registry
	authority *apps.Authority
	realtime  *realtime.Server
	rest      *rest.Server
	sandbox   *rest.Sandbox // Nil without.
	sessions  *usher.Sessions

	apps  hubApps
	doors atomic.Pointer[hubDoors] // Of the site in force.
}

// hubDoors is what of a site the hub has to know.
type hubDoors struct {
	verifier  usher.Verifier // Of tokens that clients send on their connections.
	origins   []string       // Whose pages may read answers; none are all.
	plainKeys bool           // API keys may come over plain HTTP.
}

// openHub opens the hub, if there is one. The engine is open.
func (k *kept) openHub(ctx context.Context, c *config.Config, o engine.Options) error {
	if c.Hub == nil {
		return nil
	}
	s := &hubService{sessions: k.sessions}
	var err error
	s.log, err = engine.OpenLog(ctx, o, engine.LogOptions{
		Durability: engine.Durability(c.Hub.Durability),
	})
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	s.hub = hub.New(timedLog{s.log, k.metrics}, hub.Options{Log: k.log})
	if err := s.hub.Join(k.engine.Peers()); err != nil {
		s.hub.Close()
		return errors.Join(fmt.Errorf("hub: %w", err), s.log.Close())
	}
	s.registry = apps.NewRegistry(s.hub)
	s.apps.registry, s.apps.sessions, s.apps.keep, s.apps.log = s.registry, k.sessions, s.log.Keep, k.log
	s.authority = apps.NewAuthority(s.registry, k.engine, k.sessions)
	s.realtime = realtime.New(realtime.Options{Access: hubAccess{s}, Refused: k.refused, Log: k.log})
	s.registry.OnChange(s.realtime.Reconsider) // A key may allow less than before.
	if k.sandbox {
		s.sandbox = new(rest.Sandbox)
	}
	s.rest = rest.New(rest.Options{
		Registry: s.registry, Authority: s.authority, Connection: s.realtime.Connection, Sandbox: s.sandbox,
		Origins: s.allows, Refused: k.refused, Log: k.log,
	})
	k.metrics.WatchHub(s.counts)
	k.hub = s
	return s.apps.open(ctx, k.engine)
}

// closeHub ends what openHub began. Nobody is served any more.
func (k *kept) closeHub() error {
	s := k.hub
	if s == nil {
		return nil
	}
	s.apps.close()
	s.realtime.Close()
	s.rest.Close()
	s.hub.Close()
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("close hub: %w", err)
	}
	return nil
}

// allows reports whether pages of an origin may read what REST answers.
func (s *hubService) allows(origin string) bool {
	d := s.doors.Load()
	return len(d.origins) == 0 || slices.ContainsFunc(d.origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

// applyHub puts the apps of a configuration in force, and who may come in.
func (k *kept) applyHub(b *builder) {
	if k.hub == nil {
		return
	}
	list := b.apps
	if len(list) == 0 {
		list = []*hubApp{k.onlyApp()}
	}
	k.hub.apps.configure(list)
	k.hub.doors.Store(b.doors)
}

// located tells the sandbox where clients find its apps.
func (s *hubService) located(at net.Addr, tls bool) {
	if s == nil || s.sandbox == nil {
		return
	}
	s.sandbox.Endpoint, s.sandbox.TLS = "127.0.0.1", tls
	if tcp, ok := at.(*net.TCPAddr); ok {
		s.sandbox.Endpoint, s.sandbox.Port = tcp.IP.String(), tcp.Port
	}
}

// sandboxed gives a configuration a hub, for the tests of SDKs. It lets in
// anybody, so nobody else may reach it.
func sandboxed(c *config.Config) error {
	host, _, err := net.SplitHostPort(string(c.Listen))
	if ip := net.ParseIP(host); err != nil || host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return errors.New("a sandbox lets anybody make apps: listen must be an address of loopback")
	}
	if c.Hub == nil {
		c.Hub = &config.Hub{}
	}
	return nil
}
