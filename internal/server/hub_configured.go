package server

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"slices"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/hub"
)

// A hubApp is an app of the hub, with what the admin API shows of it. It is not
// changed.
type hubApp struct {
	*apps.App
	limits     config.AppLimits
	namespaces map[string]*config.Namespace
	record     *appRecord // What the API has made it of. Nil where it is configured.
	revision   uint64     // Of the record.
}

// newHubApp returns the app with these limits and namespaces.
func newHubApp(id string, limits config.AppLimits, namespaces map[string]*config.Namespace) *hubApp {
	o := hub.AppOptions{
		Namespaces: make(map[string]hub.Namespace),
		Limits: hub.Limits{
			MessageBytes: limits.MessageSize, Connections: limits.Connections,
			KeyConnections: limits.KeyConnections, ClientConnections: limits.ClientConnections, Channels: limits.Channels,
			AllChannels: limits.AllChannels, AttachRate: limits.AttachRate,
			Rate: limits.Rate, ChannelRate: limits.ChannelRate, KeyRate: limits.KeyRate, AppRate: limits.AppRate,
			Calls: limits.Calls, KeyCalls: limits.KeyCalls, ClientCalls: limits.ClientCalls,
		},
	}
	for name, n := range namespaces {
		if n != nil {
			o.Namespaces[name] = hub.Namespace{Retention: n.Retention, Members: n.Members}
		}
	}
	return &hubApp{App: &apps.App{ID: id, Options: o}, limits: limits, namespaces: namespaces}
}

// configuredApps reads the apps of a configuration.
func configuredApps(h *config.Hub) ([]*hubApp, error) {
	var list []*hubApp
	for _, id := range slices.Sorted(maps.Keys(h.Apps)) {
		c := h.Apps[id]
		if c == nil {
			c = &config.App{Limits: defaultLimits()}
		}
		a := newHubApp(id, c.Limits, c.Namespaces)
		for _, id := range slices.Sorted(maps.Keys(c.Keys)) {
			key, err := configuredKey(id, c.Keys[id])
			if err != nil {
				return nil, fmt.Errorf("app %s: key %s: %w", a.ID, id, err)
			}
			a.Keys = append(a.Keys, key)
		}
		list = append(list, a)
	}
	return list, nil
}

func configuredKey(id string, c *config.AppKey) (*apps.Key, error) {
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

func defaultLimits() config.AppLimits {
	l, err := config.FromJSON[config.AppLimits]("limits", []byte("{}"))
	if err != nil {
		panic("the defaults of limits: " + err.Error())
	}
	return l
}

// The ids of the app and the key that there are where none are configured.
const (
	onlyAppID = "usher"
	onlyKeyID = "main"
)

// onlyApp is the app where none are configured. Its key is made of the engine's
// secrets: the same on all nodes, and as long as the engine keeps its data.
func (k *kept) onlyApp() *hubApp {
	sum, err := hkdf.Key(sha256.New, []byte(k.engine.Secrets().CSRF().Reveal()), nil, "usher hub key", 24)
	if err != nil {
		panic("hkdf of 24 bytes: " + err.Error()) // Which it does not refuse.
	}
	all, err := usher.NewPermissions("", `{"*":["*"],"[*]*":["*"]}`)
	if err != nil {
		panic("the capability of all: " + err.Error())
	}
	a := newHubApp(onlyAppID, defaultLimits(), nil)
	a.Keys = []*apps.Key{{
		ID: onlyKeyID, Secret: usher.NewSecret(base64.RawURLEncoding.EncodeToString(sum)), Permissions: all,
	}}
	return a
}

// onlyKey returns the whole key of the app that there is where none are
// configured, for who started the server; empty where some are.
func (s *hubService) onlyKey() usher.Secret {
	a := s.apps.find(onlyAppID)
	if a == nil || len(a.Keys) != 1 || a.Keys[0].ID != onlyKeyID {
		return usher.Secret{}
	}
	return usher.NewSecret(onlyAppID + "." + onlyKeyID + ":" + a.Keys[0].Secret.Reveal())
}
