package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"

	"github.com/usher-ws/usher"
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
	o, err := engineOptions(c.Engine, k)
	if err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if k.engine, err = engine.Open(ctx, o); err != nil {
		return explainOpen(err)
	}
	if err := k.useEngine(ctx, c); err != nil {
		return errors.Join(fmt.Errorf("engine: %w", err), k.closeEngine())
	}
	if err := k.openHub(ctx, c, o); err != nil {
		return errors.Join(err, k.closeEngine())
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
	if errors.Is(err, engine.ErrOtherKey) {
		return fmt.Errorf("%w: set engine.key or engine.old_key to it; in a directory it may be the file usher.key that was there. Nothing was changed", err)
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

func (k *kept) useEngine(ctx context.Context, c *config.Config) error {
	k.tickets.Spent = k.engine
	secrets := k.engine.Secrets()
	err := secrets.UseTickets(k.tickets.Rotate)
	if err != nil {
		return err
	}
	k.csrf.Key = secrets.CSRF()
	if k.records.Records, err = k.engine.Records(ctx, engine.Logins); err != nil {
		return err
	}
	if err := k.tokens.open(ctx, k.engine, c.Issuer); err != nil {
		return err
	}
	k.leave, err = k.sessions.Join(ctx, k.engine)
	return err
}

// closeEngine ends what openEngine began. Nobody is served any more.
func (k *kept) closeEngine() error {
	hubErr := k.closeHub()
	if k.leave != nil {
		k.leave()
	}
	if err := k.engine.Close(); err != nil {
		return errors.Join(hubErr, fmt.Errorf("close engine: %w", err))
	}
	return hubErr
}

func engineOptions(c config.Engine, k *kept) (engine.Options, error) {
	o := engine.Options{Memory: c.Memory, Data: string(c.Data), Log: k.log}
	if len(c.NATS) > 0 {
		o.NATS = &engine.NATS{
			URLs: c.NATS, Credentials: string(c.Credentials), CA: string(c.CA), Replicas: c.Replicas,
		}
	}
	for _, key := range []struct {
		name string
		from *config.SecretSource
		to   *usher.Secret
	}{{"key", c.Key, &o.Key}, {"old_key", c.OldKey, &o.OldKey}} {
		if key.from == nil {
			continue
		}
		text, err := reveal(key.from)
		if err != nil {
			return o, fmt.Errorf("%s: %w", key.name, err)
		}
		*key.to = usher.NewSecret(text)
	}
	return o, nil
}

// engineDown is since when the engine cannot be reached; zero while it can.
func (k *kept) engineDown() time.Time {
	if k.engine == nil { // Nobody is served before it is there.
		return time.Time{}
	}
	return k.engine.Down()
}
