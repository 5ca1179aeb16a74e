package rest

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/hub"
	"github.com/usher-ws/usher/internal/lexicon"
)

// A Sandbox has the SDKs' own tests make apps for themselves.
type Sandbox struct {
	// Endpoint and Port are where the apps are served, as clients see it.
	Endpoint string
	Port     int
	// TLS says that it is served over TLS.
	TLS bool

	mu sync.Mutex
	// Guarded by mu.
	seeds map[string][]*hub.Connection // Of the members that apps began with.
}

// maxSandbox is how many apps a sandbox has at a time.
const maxSandbox = 1000

// An appSpec is what an app is to be like. What is not known of it is passed
// over: most of it is about what this server does not do.
type appSpec struct {
	Keys []struct {
		Capability      string `json:"capability"`
		RevocableTokens bool   `json:"revocableTokens"`
	} `json:"keys"`
	Namespaces []struct {
		ID        string `json:"id"`
		Persisted bool   `json:"persisted"`
	} `json:"namespaces"`
	Channels []struct {
		Name     string            `json:"name"`
		Presence []json.RawMessage `json:"presence"`
	} `json:"channels"`
	Limits struct {
		Presence struct {
			MaxMembers int `json:"maxMembers"`
		} `json:"presence"`
	} `json:"limits"`
}

// keySpec tells of a key that was made.
type keySpec struct {
	ID              string `json:"id"`
	Value           string `json:"value"`
	KeyName         string `json:"keyName"`
	KeySecret       string `json:"keySecret"`
	KeyStr          string `json:"keyStr"`
	Capability      string `json:"capability"`
	RevocableTokens bool   `json:"revocableTokens"`
}

// createApp answers POST /apps.
func (c *call) createApp() (*answer, error) {
	body, err := io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody))
	if err != nil {
		return nil, ably.Errorf(ably.BadRequest, "the body did not come whole")
	}
	var spec appSpec
	told := map[string]any{}
	if json.Unmarshal(body, &spec) != nil || json.Unmarshal(body, &told) != nil || told == nil {
		return nil, ably.Errorf(ably.BadRequest, "not the description of an app")
	}
	registry := c.server.o.Registry
	if len(registry.All()) >= maxSandbox {
		return nil, ably.Errorf(ably.RateLimited, "the sandbox has as many apps as it may")
	}
	app := &apps.App{ID: apps.NewID(), Named: true, Options: hub.AppOptions{Namespaces: spec.namespaces(), Limits: hub.Limits{Channels: 1000}}}
	keys, err := spec.keys(app)
	if err != nil {
		return nil, err
	}
	if err := registry.Set(app); err != nil {
		return nil, ably.Errorf(ably.BadRequest, "%v", err)
	}
	if err := c.seed(app.ID, &spec); err != nil {
		registry.Remove(app.ID)
		return nil, err
	}
	sandbox := c.server.o.Sandbox
	told["accountId"], told["appId"], told["keys"] = "sandbox", app.ID, keys
	told["endpoint"], told["port"], told["tls"] = sandbox.Endpoint, sandbox.Port, sandbox.TLS
	text, err := json.Marshal(told)
	if err != nil {
		return nil, err
	}
	raw := ably.Raw(text)
	return &answer{status: http.StatusCreated, body: &raw}, nil
}

func (spec *appSpec) namespaces() map[string]hub.Namespace {
	members := spec.Limits.Presence.MaxMembers
	m := map[string]hub.Namespace{"": {Members: members}}
	for _, n := range spec.Namespaces {
		space := hub.Namespace{Members: members}
		if n.Persisted {
			space.Retention = 24 * time.Hour
		}
		m[n.ID] = space
	}
	return m
}

// keys makes the app's keys, in order.
func (spec *appSpec) keys(app *apps.App) (list []keySpec, err error) {
	for _, k := range spec.Keys {
		capability := k.Capability
		if strings.Trim(capability, "{} \t\r\n") == "" {
			capability = `{"*":["*"]}`
		}
		p, err := usher.NewPermissions("", capability)
		if err != nil {
			return nil, ably.Errorf(ably.BadRequest, "%v", err)
		}
		key := &apps.Key{ID: apps.NewID(), Secret: apps.NewSecret(), Permissions: p, Revocable: k.RevocableTokens}
		app.Keys = append(app.Keys, key)
		name, secret := app.ID+"."+key.ID, key.Secret.Reveal()
		list = append(list, keySpec{key.ID, secret, name, secret, name + ":" + secret, p.Capability(), key.Revocable})
	}
	return list, nil
}

// seed has the members enter that the app is to begin with. Their connection goes
// on for as long as the app.
func (c *call) seed(app string, spec *appSpec) error {
	a := c.server.o.Registry.App(app)
	for _, channel := range spec.Channels {
		if len(channel.Presence) == 0 {
			continue
		}
		list := ably.PresenceMessages{}
		for _, text := range channel.Presence {
			m := new(ably.PresenceMessage)
			if err := ably.Decode(ably.JSON, text, m); err != nil {
				return err
			}
			m.Action = ably.PresenceEnter
			if bad := m.Check(); bad != nil {
				return bad
			}
			list = append(list, m)
		}
		if err := c.server.o.Sandbox.enter(c.r.Context(), a, channel.Name, list); err != nil {
			return err
		}
	}
	return nil
}

// deleteApp answers DELETE /apps/{app}.
func (c *call) deleteApp() (*answer, error) {
	if c.server.o.Sandbox == nil {
		return nil, ably.Err(ably.NotFound)
	}
	if !c.grant.Basic || c.grant.App != c.path[1] {
		return nil, ably.Err(ably.NotPermitted)
	}
	c.server.o.Sandbox.leave(c.path[1])
	c.server.o.Registry.Remove(c.path[1])
	return &answer{status: http.StatusOK, body: &ably.Messages{}}, nil
}

// enter has members enter a channel, by a connection of their own.
func (s *Sandbox) enter(ctx context.Context, app *hub.App, channel string, list ably.PresenceMessages) error {
	conn, err := app.Connect(hub.Owner{})
	if err != nil {
		return err
	}
	s.mu.Lock()
	if s.seeds == nil {
		s.seeds = make(map[string][]*hub.Connection)
	}
	s.seeds[app.ID()] = append(s.seeds[app.ID()], conn)
	s.mu.Unlock()
	if _, err := conn.Attach(ctx, channel, hub.Attaching{Modes: hub.BePresent, Waker: asleep{}}); err != nil {
		return err
	}
	done := make(chan error, 1)
	err = conn.Present(channel, conn.ID()+":0", lexicon.PresenceMessages(list), func(_ hub.Position, err error) { done <- err })
	if err != nil {
		return err
	}
	select {
	case err = <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// asleep is who wants to hear nothing.
type asleep struct{}

func (asleep) Wake(*hub.Attachment) {}

// leave ends the connections of an app's members.
func (s *Sandbox) leave(app string) {
	s.mu.Lock()
	list := s.seeds[app]
	delete(s.seeds, app)
	s.mu.Unlock()
	for _, conn := range list {
		conn.Close()
	}
}

// close ends those of all apps.
func (s *Sandbox) close() {
	s.mu.Lock()
	seeds := s.seeds
	s.seeds = nil
	s.mu.Unlock()
	for _, list := range seeds {
		for _, conn := range list {
			conn.Close()
		}
	}
}
