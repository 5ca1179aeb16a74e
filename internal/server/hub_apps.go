package server

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/apps"
	"github.com/usher-ws/usher/internal/engine"
)

const (
	// revokeTime bounds how long other nodes are told that keys are no more.
	revokeTime = 3 * time.Second
	// heardTime bounds how long a change of this node's own is waited for.
	heardTime = 2 * time.Second
	// logKeeps is for how long the log keeps messages without being told more.
	logKeeps = 24 * time.Hour
	// keepTime bounds how long the log is told for how long messages are kept.
	keepTime = 5 * time.Second
)

// hubApps are the apps of the hub: those of the configuration, and those that the
// admin API has made, which all nodes hear of by the engine. Of two with one id
// the former is in force.
type hubApps struct {
	// Immutable after open.
	registry *apps.Registry
	sessions *usher.Sessions
	keep     func(context.Context, time.Duration) error // The log: see [engine.Log.Keep].
	log      *slog.Logger
	stored   *engine.Apps
	keeping  sync.WaitGroup

	mu sync.Mutex
	// Guarded by mu.
	configured map[string]*hubApp // Nil until the first configuration.
	made       map[string]*hubApp
	inForce    map[string]*hubApp
	news       chan struct{} // Closed when there is something new of made.
	longest    time.Duration // That the log keeps messages for.
}

// open begins to hear of the apps that the API makes. They are in force once
// there is a configuration.
func (h *hubApps) open(ctx context.Context, e *engine.Engine) error {
	h.made, h.inForce, h.news = make(map[string]*hubApp), make(map[string]*hubApp), make(chan struct{})
	h.longest = logKeeps
	var err error
	if h.stored, err = e.Apps(ctx, h.hear); err != nil {
		return fmt.Errorf("hub: %w", err)
	}
	return nil
}

// hear takes what has become of an app, whichever node has changed it.
func (h *hubApps) hear(id string, text []byte, revision uint64) {
	var a *hubApp
	if text != nil {
		record, err := decodeApp(text)
		if err == nil {
			a, err = record.app(id)
		}
		if err != nil {
			h.log.Error("an app is not understood, and is refused", "app", id, "error", err)
			a = nil
		} else {
			a.revision = revision
		}
	}
	h.end(h.take(id, a))
	if a != nil {
		h.keepFor(a)
	}
}

// close ends what open began.
func (h *hubApps) close() {
	if h.stored != nil {
		h.stored.Close()
	}
	h.keeping.Wait()
}

// keepFor has the log keep messages for as long as the apps want it. It does not
// wait for the log: what is to be heard next may be that a key is no more.
func (h *hubApps) keepFor(list ...*hubApp) {
	h.mu.Lock()
	longest := h.longest
	for _, a := range list {
		for _, n := range a.Options.Namespaces {
			longest = max(longest, n.Retention)
		}
	}
	longer := longest > h.longest
	h.longest = longest
	h.mu.Unlock()
	if !longer {
		return
	}
	h.keeping.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), keepTime)
		defer cancel()
		if err := h.keep(ctx, longest); err != nil {
			h.log.Warn("messages may be kept for less than a namespace says, until a restart", "retention", longest, "error", err)
		}
	})
}

// take puts an app in the place of the one with its id, or of nil none. It
// returns the keys that are no more.
func (h *hubApps) take(id string, a *hubApp) (gone []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if old := h.made[id]; old != nil && a != nil && old.revision == a.revision {
		return nil // Told again.
	}
	if h.made[id] = a; a == nil {
		delete(h.made, id)
	}
	close(h.news)
	h.news = make(chan struct{})
	if h.configured == nil {
		return nil
	}
	return h.settle(id)
}

// configure puts the apps of a configuration in force, beside those of the API.
func (h *hubApps) configure(list []*hubApp) {
	h.keepFor(list...)
	h.mu.Lock()
	h.configured = make(map[string]*hubApp, len(list))
	for _, a := range list {
		h.configured[a.ID] = a
	}
	ids := make(map[string]bool)
	for _, of := range []map[string]*hubApp{h.configured, h.made, h.inForce} {
		for id := range of {
			ids[id] = true
		}
	}
	var gone []string
	for id := range ids {
		gone = append(gone, h.settle(id)...)
	}
	h.mu.Unlock()
	h.end(gone)
}

// settle puts in force what is to be, and returns the keys that are no more. The
// caller holds mu.
func (h *hubApps) settle(id string) (gone []string) {
	old, now, made := h.inForce[id], h.configured[id], h.made[id]
	switch {
	case now != nil && made != nil:
		h.log.Warn("an app of the admin API is not in force: the configuration has one with its id", "app", id)
	case now == nil && made != nil && !made.record.Disabled:
		now = made
	}
	if now == old {
		return nil
	}
	if now == nil {
		h.registry.Remove(id)
		delete(h.inForce, id)
		return old.keysBut(nil)
	}
	if err := h.registry.Set(now.App); err != nil {
		h.log.Error("an app stays as it was", "app", id, "error", err)
		return nil
	}
	h.inForce[id] = now
	if old == nil {
		return nil
	}
	return old.keysBut(now)
}

// keysBut returns the names of the app's keys that now, if it is not nil, has not.
// One that has another secret by a rotation is not gone: the registry has what the
// one before has opened end.
func (a *hubApp) keysBut(now *hubApp) (gone []string) {
	for _, key := range a.Keys {
		same := now != nil && slices.ContainsFunc(now.Keys, func(n *apps.Key) bool {
			return n.ID == key.ID && (n.Secret.Equal(key.Secret) || !n.OldUntil.IsZero() && n.Old.Equal(key.Secret))
		})
		if !same {
			gone = append(gone, a.ID+"."+key.ID)
		}
	}
	return gone
}

// end ends what keys have opened that are no more. Each node does so when it hears
// of it; that others are told too does no harm.
func (h *hubApps) end(gone []string) {
	ctx, cancel := context.WithTimeout(context.Background(), revokeTime)
	defer cancel()
	for _, key := range gone {
		r := usher.Revocation{Issuer: apps.Issuer(key), Reason: "the API key is no more"}
		if _, err := h.sessions.Revoke(ctx, r); err != nil { // Here it is done in any case.
			h.log.Warn("connections of a key that is no more may live on elsewhere", "key", key, "error", err)
		}
	}
}

// find returns an app, also one that is disabled, or nil.
func (h *hubApps) find(id string) *hubApp {
	h.mu.Lock()
	defer h.mu.Unlock()
	if a := h.configured[id]; a != nil {
		return a
	}
	return h.made[id]
}

// list returns all apps, also those that are disabled, by id.
func (h *hubApps) list() []*hubApp {
	h.mu.Lock()
	all := maps.Clone(h.made)
	maps.Copy(all, h.configured)
	h.mu.Unlock()
	return slices.SortedFunc(maps.Values(all), func(a, b *hubApp) int { return strings.Compare(a.ID, b.ID) })
}

// count is how many apps the API has made.
func (h *hubApps) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.made)
}

// await waits until this node has heard of a change of an app, which is stored
// already: until heard says so of what is known of it.
func (h *hubApps) await(ctx context.Context, id string, heard func(*hubApp) bool) {
	ctx, cancel := context.WithTimeout(ctx, heardTime)
	defer cancel()
	for {
		h.mu.Lock()
		a, news := h.made[id], h.news
		h.mu.Unlock()
		if heard(a) {
			return
		}
		select {
		case <-news:
		case <-ctx.Done():
			h.log.Warn("a change of an app is stored, and not in force yet", "app", id)
			return
		}
	}
}
