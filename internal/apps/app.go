package apps

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/ably"
	"github.com/usher-ws/usher/internal/hub"
)

// MinSecret is how long the secret of a key is at least, in bytes: it signs
// tokens, which can be guessed at without asking anybody.
const MinSecret = 16

// An App is an application with its keys. It is not changed once it was given to
// a Registry.
type App struct {
	// ID names it. It has neither "." nor ":" in it.
	ID string
	// Keys are its keys, of which there may be none.
	Keys []*Key
	// Options say what its channels are like.
	Options hub.AppOptions
	// Named apps are for credentials that name them: they are not counted where it
	// is asked for the only one.
	Named bool
}

// A Key is an API key.
type Key struct {
	// ID names it within its app. It has neither "." nor ":" in it.
	ID string
	// Secret is what its holder knows, at least MinSecret bytes.
	Secret usher.Secret
	// Old is the secret that it had before, which is good until OldUntil. The zero
	// time: there is none.
	Old      usher.Secret
	OldUntil time.Time
	// Permissions are what it allows.
	Permissions usher.Permissions
	// Revocable lets tokens of the key be taken back. They live for an hour at
	// most.
	Revocable bool
}

func (a *App) validate() error {
	if !IsID(a.ID) {
		return fmt.Errorf("app %q: an id has letters, digits, - and _ only", a.ID)
	}
	seen := make(map[string]bool)
	for _, k := range a.Keys {
		switch {
		case !IsID(k.ID):
			return fmt.Errorf("app %s: key %q: an id has letters, digits, - and _ only", a.ID, k.ID)
		case seen[k.ID]:
			return fmt.Errorf("app %s: key %s is there twice", a.ID, k.ID)
		case len(k.Secret.Reveal()) < MinSecret:
			return fmt.Errorf("app %s: key %s: the secret has fewer than %d bytes", a.ID, k.ID, MinSecret)
		}
		seen[k.ID] = true
	}
	return nil
}

// IsID reports whether s can name an app or a key: 1 to 64 letters, digits, "-"
// and "_".
func IsID(s string) bool {
	const most = 64
	return s != "" && len(s) <= most && !strings.ContainsFunc(s, func(r rune) bool {
		return (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') && r != '-' && r != '_'
	})
}

// A Registry has the apps of one hub. It may be changed at any time, by
// configuration and by whoever else knows of apps.
type Registry struct {
	// Immutable once it is used.
	hub     *hub.Hub
	changed func()

	mu sync.RWMutex
	// Guarded by mu.
	apps map[string]*App
	ends map[string]*time.Timer // By app: when the next of its old secrets ends.
}

// NewRegistry returns a registry without apps.
func NewRegistry(h *hub.Hub) *Registry {
	return &Registry{hub: h, changed: func() {}, apps: make(map[string]*App), ends: make(map[string]*time.Timer)}
}

// OnChange has f called after each Remove, after each Set that has changed a key, or
// left it out, and when a secret ends that a key had before. It is called before the registry is used.
func (r *Registry) OnChange(f func()) { r.changed = f }

// Set adds an app, or puts it in the place of the one with its ID. Tokens of
// keys that are no more are refused from then on.
func (r *Registry) Set(a *App) error {
	if err := a.validate(); err != nil {
		return err
	}
	next := *a
	next.Keys = slices.Clone(a.Keys)
	r.mu.Lock()
	same := next.keepKeys(r.apps[a.ID])
	r.apps[a.ID] = &next
	r.hub.SetApp(a.ID, a.Options)
	r.await(&next)
	r.mu.Unlock()
	if !same {
		r.changed()
	}
	return nil
}

// keepKeys has the app keep those keys of old, which may be nil, that are as they
// were, and reports whether all are.
func (a *App) keepKeys(old *App) bool {
	if old == nil {
		return true
	}
	same := 0
	for i, k := range a.Keys {
		j := slices.IndexFunc(old.Keys, func(o *Key) bool { return o.ID == k.ID && o.is(k) })
		if j >= 0 {
			a.Keys[i] = old.Keys[j]
			same++
		}
	}
	return same == len(old.Keys)
}

// is reports whether two keys with one id are the same.
func (k *Key) is(other *Key) bool {
	return k.Revocable == other.Revocable && k.Secret.Equal(other.Secret) && k.Old.Equal(other.Old) && k.OldUntil.Equal(other.OldUntil) &&
		k.Permissions.Capability() == other.Permissions.Capability() && k.Permissions.Scope() == other.Permissions.Scope()
}

// Remove forgets an app, and reports whether there was one.
func (r *Registry) Remove(id string) bool {
	r.mu.Lock()
	known := r.apps[id] != nil
	delete(r.apps, id)
	r.forgetEnd(id)
	if known {
		r.hub.RemoveApp(id)
	}
	r.mu.Unlock()
	if known {
		r.changed()
	}
	return known
}

// App returns an app as the hub knows it, or nil.
func (r *Registry) App(id string) *hub.App {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.apps[id] == nil {
		return nil
	}
	return r.hub.App(id)
}

// All returns the apps as the hub knows them, in no order.
func (r *Registry) All() []*hub.App {
	r.mu.RLock()
	defer r.mu.RUnlock()
	list := make([]*hub.App, 0, len(r.apps))
	for id := range r.apps {
		list = append(list, r.hub.App(id))
	}
	return list
}

// Only returns the one app that there is, or "" if there are none or several:
// the app of those whose credential names none.
func (r *Registry) Only() string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	only := ""
	for id, a := range r.apps {
		switch {
		case a.Named:
		case only != "":
			return ""
		default:
			only = id
		}
	}
	return only
}

// key returns the key called name, "app.key".
func (r *Registry) key(name string) (*Key, ably.KeyName, error) {
	n, ok := ably.ParseKeyName(name)
	if !ok {
		return nil, n, errNoKey
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if a := r.apps[n.App]; a != nil {
		if i := slices.IndexFunc(a.Keys, func(k *Key) bool { return k.ID == n.ID }); i >= 0 {
			return a.Keys[i], n, nil
		}
	}
	return nil, n, errNoKey
}

var errNoKey = errors.New("no such key")
