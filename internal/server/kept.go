package server

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/gateway"
	"github.com/usher-ws/usher/internal/login"
	"github.com/usher-ws/usher/internal/observe"
)

// kept is what outlives a configuration: the live connections, what tickets and
// second proofs are made with, and what was learned over the network.
type kept struct {
	// Immutable after New.
	log          *slog.Logger
	level        *slog.LevelVar
	sessions     *usher.Sessions
	tickets      *usher.Tickets
	csrf         *usher.CSRF
	signer       *gateway.Signer
	metrics      *observe.Metrics
	explanations *observe.Explanations
	visitors     visitors
	guesses      guesses
	sandbox      bool // The hub has one.

	records records // Of logins.

	// Set by openEngine, before anybody is served. Immutable from then on.
	engine *engine.Engine
	leave  func()      // Takes the sessions off the engine.
	hub    *hubService // Nil without one.

	tokens tokens

	// Guarded by the server's changing.
	keySets   map[keySource]*usher.JWKS
	passwords map[string]*usher.Htpasswd // By file.
	pools     map[string]*gateway.Pool   // By all that they are made of.
	asks      []idler
	logins    map[string]*login.Login // By all that they are made of; one at most.
}

// An idler keeps connections for its next question.
type idler interface{ CloseIdle() }

func (k *kept) observe(ctx context.Context, e usher.Event) {
	k.explanations.Observe(e)
	k.metrics.Observe(ctx, e)
}

// start begins to fetch the keys that a new site uses and the last did not.
func (k *kept) start(b *builder) {
	for from, keys := range b.keySets {
		if k.keySets[from] == keys {
			continue
		}
		if err := keys.Start(context.Background()); err != nil { // Until it is closed.
			k.log.Error("keys are not kept up to date", "error", err)
		}
	}
}

// adopt takes over what a site has that is now in force. What no site uses any
// more is closed.
func (k *kept) adopt(b *builder) {
	for from, keys := range k.keySets {
		if b.keySets[from] == nil {
			_ = keys.Close()
		}
	}
	for _, old := range k.asks { // Those who were admitted by it may ask it again.
		old.CloseIdle()
	}
	for made, l := range k.logins {
		if b.logins[made] == nil {
			_ = l.Close()
		}
	}
	k.logins = b.logins
	k.keySets, k.pools, k.asks = b.keySets, b.pools, b.asks
	k.applyHub(b)
	// Files of passwords stay for those who were admitted by them and are asked
	// about again: whoever is taken out of a file must be out.
	for file, users := range k.passwords {
		if err := users.Reload(); err != nil {
			k.log.Error("passwords not read again; the users stay as they were", "file", file, "error", err)
		}
	}
	for file, users := range b.passwords {
		k.passwords[file] = users
	}
}

// close ends what start began.
func (k *kept) close() {
	for _, keys := range k.keySets {
		_ = keys.Close()
	}
	for _, a := range k.asks {
		a.CloseIdle()
	}
	for _, l := range k.logins {
		_ = l.Close()
	}
}

// newKept makes what the first site needs.
func newKept(c *config.Config, log *slog.Logger, level *slog.LevelVar, pending func() map[string]int) (*kept, error) {
	signer, err := gateway.NewSigner()
	if err != nil {
		return nil, fmt.Errorf("make server: %w", err)
	}
	k := &kept{
		log: log, level: level, sessions: &usher.Sessions{Keep: c.Sessions.KeepRevocations},
		tickets: &usher.Tickets{}, csrf: &usher.CSRF{}, signer: signer, explanations: &observe.Explanations{},
		passwords: make(map[string]*usher.Htpasswd),
	}
	k.metrics = observe.NewMetrics(pending, k.engineDown)
	return k, nil
}
