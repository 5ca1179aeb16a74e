package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

const (
	appsBucket = "apps"
	// MaxApps is how many apps there should be at most; the store does not count
	// them.
	MaxApps = 10_000
	// MaxApp bounds the text of an app, in bytes: what is left of an entry once it
	// is sealed.
	MaxApp = 45 << 10
)

var (
	// ErrNoApp is the error of a change to an app that does not exist.
	ErrNoApp = errors.New("no such app")
	// ErrAppExists is the error of Create where there is an app with this id, also
	// one that cannot be read.
	ErrAppExists = errors.New("there is such an app")
	// ErrAppChanged is the error of a change to a revision that is not the last.
	ErrAppChanged = errors.New("the app was changed by another")
	// ErrBadApp is the error of a change to an app that cannot be read.
	ErrBadApp = errors.New("the app cannot be read")
	// ErrLongApp is the error of a text of more than MaxApp bytes.
	ErrLongApp = fmt.Errorf("the app has more than %d bytes", MaxApp)
)

// Apps are the apps of the hub that all nodes share: for each a text, sealed by
// the key-encryption key, since the secrets of its keys are in it. What the text
// says is the caller's business. It is for many goroutines at once.
//
// An error that wraps usher.ErrUnavailable means that it is not known whether
// there was a change.
type Apps struct {
	bucket bucket
	vault  *vault
	log    *slog.Logger
	told   func(id string, text []byte, revision uint64)
	stop   func()

	mu sync.Mutex
	// Guarded by mu.
	aged []string // Those to be sealed again.
}

// Apps opens the apps. It calls told with each of them, before it returns, and
// from then on with each that has changed, one at a time: its text with its
// revision, or nil where it was removed, or cannot be read and so counts as none.
// One that another key-encryption key seals is not told of: keys are changed on
// one node after the other. ctx is for the time until all were read.
func (e *Engine) Apps(ctx context.Context, told func(id string, text []byte, revision uint64)) (*Apps, error) {
	b, err := e.store.bucket(ctx, appsBucket, watched)
	if err != nil {
		return nil, unreachable("open apps", err)
	}
	a := &Apps{bucket: b, vault: e.vault, log: e.log, told: told}
	if a.stop, err = b.watch(ctx, a.hear); err != nil {
		return nil, unreachable("watch apps", err)
	}
	e.opened(a.stop)
	a.mu.Lock()
	aged := a.aged
	a.mu.Unlock()
	for _, id := range aged {
		_, err := a.Change(ctx, id, 0, func(text []byte) ([]byte, error) { return text, nil })
		if err != nil && !errors.Is(err, ErrNoApp) {
			return nil, fmt.Errorf("seal apps under the new key-encryption key: %w", err)
		}
	}
	return a, nil
}

// Close ends that this node is told of apps; told is called no more once it returns.
// It may be called again, and Close of the engine does.
func (a *Apps) Close() { a.stop() }

func (a *Apps) hear(e entry) {
	if e.removed {
		a.told(e.key, nil, e.revision)
		return
	}
	text, again, err := a.open(e)
	switch {
	case errors.Is(err, ErrOtherKey):
		a.log.Error("an app cannot be read; as it was last it stays in use", "app", e.key, "error", err)
		return
	case err != nil:
		a.log.Error("an app cannot be read, and is refused: remove it, and make it anew", "app", e.key, "error", err)
	case again:
		a.mu.Lock()
		a.aged = append(a.aged, e.key)
		a.mu.Unlock()
	}
	a.told(e.key, text, e.revision)
}

// open returns the text of an app, and whether it should be sealed again.
func (a *Apps) open(e entry) (text []byte, again bool, err error) {
	return a.vault.open("app "+e.key, e.value)
}

func (a *Apps) seal(id string, text []byte) ([]byte, error) {
	if len(text) > MaxApp {
		return nil, ErrLongApp
	}
	return a.vault.seal("app "+id, text)
}

// Create adds an app, and returns its revision. The error is ErrAppExists,
// ErrLongApp, or wraps usher.ErrUnavailable. The id is of letters, digits, '-' and
// '_'.
func (a *Apps) Create(ctx context.Context, id string, text []byte) (revision uint64, err error) {
	if !isRecordKey(id) {
		return 0, errors.New("create app: its id has other letters than it may")
	}
	value, err := a.seal(id, text)
	if err != nil {
		return 0, fmt.Errorf("create app: %w", err)
	}
	return a.again(ctx, func() (uint64, error) {
		revision, err := a.bucket.create(ctx, id, value, 0)
		if errors.Is(err, errExists) {
			if _, err := a.bucket.get(ctx, id); errors.Is(err, errNotFound) {
				return 0, errConflict // It is being made, or removed.
			}
			return 0, ErrAppExists
		}
		return revision, unlessConflict("write app", err)
	})
}

// Change replaces the text of an app by what f makes of it, and returns its
// revision. Where another one is faster, f is called again, unless match is a
// revision, which the app must have. An error of f is returned as it is; others
// are ErrNoApp, ErrAppChanged, ErrBadApp, ErrLongApp, or wrap usher.ErrUnavailable.
func (a *Apps) Change(ctx context.Context, id string, match uint64, f func(text []byte) ([]byte, error)) (revision uint64, err error) {
	return a.again(ctx, func() (uint64, error) {
		e, err := a.find(ctx, id, match)
		if err != nil {
			return 0, err
		}
		text, sealAgain, err := a.open(e)
		if err != nil {
			return 0, fmt.Errorf("%w: %s: %w", ErrBadApp, id, err)
		}
		next, err := f(text)
		if err != nil || bytes.Equal(next, text) && !sealAgain {
			return e.revision, err
		}
		value, err := a.seal(id, next)
		if err != nil {
			return 0, err
		}
		revision, err := a.bucket.update(ctx, id, value, e.revision, 0)
		return revision, unlessConflict("write app", err)
	})
}

// Remove removes an app, also one that cannot be read, and returns the revision
// that it had. Match is as for Change, and so are the errors.
func (a *Apps) Remove(ctx context.Context, id string, match uint64) (revision uint64, err error) {
	return a.again(ctx, func() (uint64, error) {
		e, err := a.find(ctx, id, match)
		if err != nil {
			return 0, err
		}
		return e.revision, unlessConflict("remove app", a.bucket.remove(ctx, id, e.revision))
	})
}

// find reads an app, which has the revision match unless that is 0.
func (a *Apps) find(ctx context.Context, id string, match uint64) (entry, error) {
	if !isRecordKey(id) {
		return entry{}, ErrNoApp
	}
	e, err := a.bucket.get(ctx, id)
	switch {
	case errors.Is(err, errNotFound):
		return entry{}, ErrNoApp
	case err != nil:
		return entry{}, unreachable("read app", err)
	case match != 0 && e.revision != match:
		return entry{}, ErrAppChanged
	}
	return e, nil
}

// again calls f, and as long as its error is errConflict once more: another write
// was faster, or is under way.
func (a *Apps) again(ctx context.Context, f func() (uint64, error)) (uint64, error) {
	for range keyTries {
		n, err := f()
		if !errors.Is(err, errConflict) {
			return n, err
		}
		select {
		case <-ctx.Done():
			return 0, unreachable("wait for another change", ctx.Err())
		case <-time.After(recordPause):
		}
	}
	return 0, unreachable("wait for other changes", errConflict)
}

// unlessConflict is the error of a write, of which errConflict stays as it is.
func unlessConflict(what string, err error) error {
	if err == nil || errors.Is(err, errConflict) {
		return err
	}
	return unreachable(what, err)
}
