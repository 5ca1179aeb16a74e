package engine_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/usher-ws/usher"
	"github.com/usher-ws/usher/internal/engine"
	"github.com/usher-ws/usher/internal/engine/enginetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// siteKey is the key-encryption key of the tests that do not care.
var siteKey = usher.NewSecret(strings.Repeat("k", 32))

// open opens an engine that the test closes, with its log in the test's.
func open(t *testing.T, o engine.Options) *engine.Engine {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if o.Log == nil {
		o.Log = slog.New(slog.NewTextHandler(t.Output(), nil))
	}
	if o.NATS != nil && o.Key.Empty() {
		o.Key = siteKey
	}
	e, err := engine.Open(ctx, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return e
}

func TestMemory(t *testing.T) {
	enginetest.Test(t, func(t *testing.T) []*engine.Engine {
		return []*engine.Engine{open(t, engine.Options{Memory: true})}
	})
}

func TestEmbedded(t *testing.T) {
	enginetest.Test(t, func(t *testing.T) []*engine.Engine {
		return []*engine.Engine{open(t, engine.Options{Data: t.TempDir()})}
	})
}

func TestCluster(t *testing.T) {
	c := enginetest.NewCluster(t, 3, nil)
	enginetest.Test(t, func(t *testing.T) []*engine.Engine {
		c.Clear(t)
		var nodes []*engine.Engine
		for range 3 {
			nodes = append(nodes, open(t, engine.Options{NATS: &engine.NATS{URLs: c.URLs()}}))
		}
		return nodes
	})
}

// renewal is a notice that other nodes count.
var renewal = usher.Notice{Renewal: &usher.Renewal{Identity: usher.Identity{Subject: "ann"}}}
