package server

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"time"

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

	apps  []*apps.App              // As configured. Guarded by the server's changing.
	doors atomic.Pointer[hubDoors] // Of the site in force.
}

// hubDoors is what of a site the hub has to know.
type hubDoors struct {
	verifier usher.Verifier // Of tokens that clients send on their connections.
	origins  []string       // Whose pages may read answers; none are all.
}

// openHub opens the hub, if there is one. The engine is open.
func (k *kept) openHub(ctx context.Context, c *config.Config, o engine.Options) error {
	if c.Hub == nil {
		return nil
	}
	s := &hubService{sessions: k.sessions}
	var err error
	s.log, err = engine.OpenLog(ctx, o, engine.LogOptions{
		Durability: engine.Durability(c.Hub.Durability), Kept: longestRetention(c.Hub),
	})
	if err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	s.hub = hub.New(s.log, hub.Options{Log: k.log})
	if err := s.hub.Join(k.engine.Peers()); err != nil {
		s.hub.Close()
		return errors.Join(fmt.Errorf("hub: %w", err), s.log.Close())
	}
	s.registry = apps.NewRegistry(s.hub)
	s.authority = apps.NewAuthority(s.registry, k.engine, k.sessions)
	s.realtime = realtime.New(realtime.Options{Access: hubAccess{s}, Log: k.log})
	if k.sandbox {
		s.sandbox = new(rest.Sandbox)
	}
	s.rest = rest.New(rest.Options{
		Registry: s.registry, Authority: s.authority, Connection: s.realtime.Connection, Sandbox: s.sandbox,
		Origins: s.allows, Log: k.log,
	})
	k.hub = s
	return nil
}

// closeHub ends what openHub began. Nobody is served any more.
func (k *kept) closeHub() error {
	s := k.hub
	if s == nil {
		return nil
	}
	s.realtime.Close()
	s.rest.Close()
	s.hub.Close()
	if err := s.log.Close(); err != nil {
		return fmt.Errorf("close hub: %w", err)
	}
	return nil
}

// longestRetention is how long messages are kept where they are kept the longest.
func longestRetention(h *config.Hub) time.Duration {
	longest := 24 * time.Hour
	for _, a := range h.Apps {
		if a == nil {
			continue
		}
		for _, n := range a.Namespaces {
			if n != nil {
				longest = max(longest, n.Retention)
			}
		}
	}
	return longest
}

// allows reports whether pages of an origin may read what REST answers.
func (s *hubService) allows(origin string) bool {
	d := s.doors.Load()
	return len(d.origins) == 0 || slices.ContainsFunc(d.origins, func(o string) bool { return strings.EqualFold(o, origin) })
}

// apply puts the apps of a configuration in force. What keys that are no more
// have opened ends.
func (k *kept) applyHub(b *builder) {
	s := k.hub
	if s == nil {
		return
	}
	list := b.apps
	if len(list) == 0 {
		list = []*apps.App{k.onlyApp()}
	}
	for _, a := range list {
		if err := s.registry.Set(a); err != nil {
			k.log.Error("an app stays as it was", "app", a.ID, "error", err)
		}
	}
	for _, old := range s.apps {
		i := slices.IndexFunc(list, func(a *apps.App) bool { return a.ID == old.ID })
		if i < 0 {
			s.registry.Remove(old.ID)
			s.end(k, old, nil)
		} else {
			s.end(k, old, list[i])
		}
	}
	s.apps = list
	s.doors.Store(b.doors)
}

// end ends what the keys of old have opened that now has not. Each node does so
// when it hears of it; that others are told too does no harm.
func (s *hubService) end(k *kept, old, now *apps.App) {
	for _, key := range old.Keys {
		same := now != nil && slices.ContainsFunc(now.Keys, func(n *apps.Key) bool { return n.ID == key.ID && n.Secret.Equal(key.Secret) })
		if same {
			continue
		}
		r := usher.Revocation{Issuer: apps.Issuer(old.ID + "." + key.ID), Reason: "the API key is no more"}
		ctx, cancel := context.WithTimeout(context.Background(), revokeTime)
		if _, err := s.sessions.Revoke(ctx, r); err != nil {
			k.log.Warn("connections of a key that is no more may live on elsewhere", "key", old.ID+"."+key.ID, "error", err)
		}
		cancel()
	}
}

// revokeTime bounds how long a reload waits for other nodes to be told.
const revokeTime = 3 * time.Second

// The ids of the app and the key that there are where none are configured.
const (
	onlyAppID = "usher"
	onlyKeyID = "main"
)

// onlyApp is the app where none are configured. Its key is made of the engine's
// secrets: the same on all nodes, and as long as the engine keeps its data.
func (k *kept) onlyApp() *apps.App {
	sum, err := hkdf.Key(sha256.New, []byte(k.engine.Secrets().CSRF().Reveal()), nil, "usher hub key", 24)
	if err != nil {
		panic("hkdf of 24 bytes: " + err.Error()) // Which it does not refuse.
	}
	all, err := usher.NewPermissions("", `{"*":["*"],"[*]*":["*"]}`)
	if err != nil {
		panic("the capability of all: " + err.Error())
	}
	return &apps.App{ID: onlyAppID, Keys: []*apps.Key{{
		ID: onlyKeyID, Secret: usher.NewSecret(base64.RawURLEncoding.EncodeToString(sum)), Permissions: all,
	}}}
}

// onlyKey returns the whole key of the app that there is where none are
// configured, for who started the server; empty where some are.
func (s *hubService) onlyKey() usher.Secret {
	if len(s.apps) == 1 && s.apps[0].ID == onlyAppID && len(s.apps[0].Keys) == 1 && s.apps[0].Keys[0].ID == onlyKeyID {
		return usher.NewSecret(onlyAppID + "." + onlyKeyID + ":" + s.apps[0].Keys[0].Secret.Reveal())
	}
	return usher.Secret{}
}

// hubApps reads the apps of a configuration.
func hubApps(h *config.Hub) ([]*apps.App, error) {
	var list []*apps.App
	for _, id := range slices.Sorted(maps.Keys(h.Apps)) {
		c := h.Apps[id]
		if c == nil {
			c = &config.App{}
		}
		l := c.Limits
		a := &apps.App{ID: id, Options: hub.AppOptions{
			Namespaces: make(map[string]hub.Namespace),
			Limits: hub.Limits{
				MessageBytes: l.MessageSize, Connections: l.Connections, Channels: l.Channels,
				AllChannels: l.AllChannels, AttachRate: l.AttachRate,
				Rate: l.Rate, ChannelRate: l.ChannelRate, KeyRate: l.KeyRate, AppRate: l.AppRate,
			},
		}}
		for name, n := range c.Namespaces {
			if n != nil {
				a.Options.Namespaces[name] = hub.Namespace{Retention: n.Retention, Members: n.Members}
			}
		}
		for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
			key, err := hubKey(id, c.Keys[id])
			if err != nil {
				return nil, fmt.Errorf("app %s: key %s: %w", a.ID, id, err)
			}
			a.Keys = append(a.Keys, key)
		}
		list = append(list, a)
	}
	return list, nil
}

func hubKey(id string, c *config.AppKey) (*apps.Key, error) {
	secret, err := reveal(c.Secret)
	if err != nil {
		return nil, err
	}
	p, err := c.Permissions()
	if err != nil {
		return nil, err
	}
	return &apps.Key{ID: id, Secret: usher.NewSecret(secret), Permissions: p, Revocable: c.Revocable}, nil
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
