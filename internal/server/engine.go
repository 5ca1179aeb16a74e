package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/engine"
)

// engineTime is how long the engine has to open: a cluster may be on its way up.
const engineTime = 10 * time.Second

// openEngine opens the engine and hands it to all that uses it, before anybody
// can be served.
func (k *kept) openEngine(ctx context.Context, c *config.Config) error {
	ctx, cancel := context.WithTimeout(ctx, engineTime)
	defer cancel()
	var err error
	if k.engine, err = engine.Open(ctx, engineOptions(c.Engine, k)); err != nil {
		return explainOpen(err)
	}
	if err := k.useEngine(ctx); err != nil {
		return errors.Join(fmt.Errorf("engine: %w", err), k.closeEngine())
	}
	about := []any{"kind", k.engine.Kind()}
	switch {
	case len(c.Engine.NATS) > 0: // Without credentials: the configuration allows none there.
		about = append(about, "servers", []string(c.Engine.NATS))
	case c.Engine.Data != "":
		about = append(about, "directory", absolute(string(c.Engine.Data)))
	}
	k.log.Info("engine", about...)
	return nil
}

// explainOpen says what to do where the process may not write: the default
// directory is in the working directory, which often belongs to somebody else.
func explainOpen(err error) error {
	if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: set engine.data (USHER_ENGINE_DATA) to a directory that this user can write, or engine.memory", err)
	}
	return err
}

// absolute is a path that says where it is, also in the log of a process whose
// working directory is not known.
func absolute(name string) string {
	if full, err := filepath.Abs(name); err == nil {
		return full
	}
	return name
}

func (k *kept) useEngine(ctx context.Context) error {
	k.tickets.Spent = k.engine
	var err error
	if k.secrets, err = k.engine.Secrets(ctx, k.tickets.Rotate); err != nil {
		return err
	}
	k.csrf.Key = k.secrets.CSRF()
	k.leave, err = k.sessions.Join(ctx, k.engine)
	return err
}

// closeEngine ends what openEngine began. Nobody is served any more.
func (k *kept) closeEngine() error {
	if k.leave != nil {
		k.leave()
	}
	if k.secrets != nil {
		k.secrets.Close()
	}
	if err := k.engine.Close(); err != nil {
		return fmt.Errorf("close engine: %w", err)
	}
	return nil
}

func engineOptions(c config.Engine, k *kept) engine.Options {
	o := engine.Options{Memory: c.Memory, Data: string(c.Data), Log: k.log}
	if len(c.NATS) > 0 {
		o.NATS = &engine.NATS{
			URLs: c.NATS, Credentials: string(c.Credentials), CA: string(c.CA), Replicas: c.Replicas,
		}
	}
	return o
}

// engineDown is since when the engine cannot be reached; zero while it can.
func (k *kept) engineDown() time.Time {
	if k.engine == nil { // Nobody is served before it is there.
		return time.Time{}
	}
	return k.engine.Down()
}
