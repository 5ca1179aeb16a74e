package engine

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// What records are of, for [Engine.Records].
const (
	Families = "families" // Of refresh tokens, and what was revoked of them.
	Logins   = "logins"   // Sessions of people who logged in at a provider.
)

const (
	// recordTime is how long a call about a record may take.
	recordTime = 2 * time.Second
	// recordPause is how long it waits for another write that is under way.
	recordPause = 5 * time.Millisecond
	// maxRecord bounds the value of a record, in bytes.
	maxRecord = 32 << 10
	// maxRecordKey bounds its key.
	maxRecordKey  = 200
	recordLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."
)

// Records are values by key that all nodes share, each until its time is over,
// 1,000,000 at most, or in memory 64 MiB. Keys are of letters, digits, '-', '_'
// and '.', values of 32 KiB at most.
//
// A call takes 2 s at most, and none at all while the store is known to be out
// of reach. An error wraps [usher.ErrUnavailable], unless it is about a key, a
// value or a time that cannot be: then nothing was done. With the others it is
// not known whether a change was made.
//
// Values are sealed, by keys that are derived of the site's secrets.
type Records struct {
	bucket  bucket
	down    func() (time.Time, error)
	name    string
	secrets *Secrets
	log     *slog.Logger
}

// Records opens the records called name, which is Families or Logins. ctx is for
// the time until the store is there.
func (e *Engine) Records(ctx context.Context, name string) (*Records, error) {
	if name != Families && name != Logins {
		return nil, fmt.Errorf("open records: there are none called %.40q", name)
	}
	b, err := e.store.bucket(ctx, name, changing)
	if err != nil {
		return nil, unreachable("open records of "+name, err)
	}
	return &Records{bucket: b, down: e.store.down, name: name, secrets: e.secrets, log: e.log}, nil
}

// Create adds a record until a time, by the clocks of the store: whole seconds
// of it, rounded up. It reports false where there is one with this key.
func (r *Records) Create(ctx context.Context, key string, value []byte, until time.Time) (bool, error) {
	ttl, err := checkRecord(key, value, until)
	if err != nil {
		return false, fmt.Errorf("create record: %w", err)
	}
	err = r.settled(ctx, key, func(ctx context.Context) error {
		_, err := r.bucket.create(ctx, key, r.seal(key, value), ttl)
		return err
	}, func(e entry, err error) bool { return err == nil })
	if errors.Is(err, errExists) {
		return false, nil
	}
	if err != nil {
		return false, unreachable("create record", err)
	}
	return true, nil
}

// Get returns a record, never a stale one, with its revision; nil where there is
// none, or none that can be opened, since the site's secrets are others now.
func (r *Records) Get(ctx context.Context, key string) (value []byte, revision uint64, err error) {
	if !isRecordKey(key) {
		return nil, 0, nil // It may be a stranger's text: nothing has this key.
	}
	var e entry
	err = r.call(ctx, func(ctx context.Context) error {
		e, err = r.bucket.get(ctx, key)
		return err
	})
	if errors.Is(err, errNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, unreachable("read record", err)
	}
	value, ok := r.open(key, e.value)
	if !ok {
		r.log.Warn("a record cannot be opened: it counts as none", "records", r.name)
		return nil, 0, nil
	}
	return value, e.revision, nil
}

// Update replaces a record that has this revision still, and reports false where
// it has not, or is there no more. Until is as for Create.
func (r *Records) Update(ctx context.Context, key string, value []byte, revision uint64, until time.Time) (bool, error) {
	ttl, err := checkRecord(key, value, until)
	if err != nil {
		return false, fmt.Errorf("update record: %w", err)
	}
	err = r.settled(ctx, key, func(ctx context.Context) error {
		_, err := r.bucket.update(ctx, key, r.seal(key, value), revision, ttl)
		return err
	}, func(e entry, err error) bool { return errors.Is(err, errNotFound) || e.revision != revision })
	if errors.Is(err, errConflict) {
		return false, nil
	}
	if err != nil {
		return false, unreachable("update record", err)
	}
	return true, nil
}

// Remove removes a record, if there is one.
func (r *Records) Remove(ctx context.Context, key string) error {
	if !isRecordKey(key) {
		return nil
	}
	err := r.call(ctx, func(ctx context.Context) error { return r.bucket.remove(ctx, key, 0) })
	if err != nil {
		return unreachable("remove record", err)
	}
	return nil
}

// settled calls write, and again as long as another write is under way that the
// store refuses it for, and that nobody can read yet: lost reports whether what is
// read shows that another one was faster.
func (r *Records) settled(ctx context.Context, key string, write func(context.Context) error, lost func(entry, error) bool) error {
	return r.call(ctx, func(ctx context.Context) error {
		for {
			err := write(ctx)
			if !errors.Is(err, errExists) && !errors.Is(err, errConflict) {
				return err
			}
			e, readErr := r.bucket.get(ctx, key)
			if readErr != nil && !errors.Is(readErr, errNotFound) {
				return readErr
			}
			if lost(e, readErr) {
				return err
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(recordPause):
			}
		}
	})
}

// call calls f with the time that there is. A store that takes no more of one
// thing may have room for another, and can be read.
func (r *Records) call(ctx context.Context, f func(context.Context) error) error {
	if _, err := r.down(); err != nil && !errors.Is(err, errFull) {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, recordTime)
	defer cancel()
	return f(ctx)
}

// box returns what seals the record of a key, and nothing else.
func (r *Records) box(key string) cipher.AEAD {
	aead, err := newAEAD([]byte(r.secrets.derived("usher record " + r.name + "." + key).Reveal()))
	if err != nil {
		panic(err) // The size is that of a key.
	}
	return aead
}

// seal returns a nonce, and the value sealed.
func (r *Records) seal(key string, value []byte) []byte {
	box := r.box(key)
	nonce := make([]byte, box.NonceSize(), box.NonceSize()+len(value)+box.Overhead())
	rand.Read(nonce) // Never fails: it ends the process instead.
	return box.Seal(nonce, nonce, value, nil)
}

func (r *Records) open(key string, text []byte) (value []byte, ok bool) {
	box := r.box(key)
	if len(text) < box.NonceSize() {
		return nil, false
	}
	value, err := box.Open([]byte{}, text[:box.NonceSize()], text[box.NonceSize():], nil)
	return value, err == nil
}

// checkRecord returns for how long a record is kept.
func checkRecord(key string, value []byte, until time.Time) (ttl time.Duration, err error) {
	ttl = until.Round(0).Sub(time.Now().Round(0))
	switch {
	case !isRecordKey(key):
		return 0, errors.New("its key is empty, too long, or has other letters than it may")
	case len(value) > maxRecord:
		return 0, fmt.Errorf("%w: %d bytes, at most %d", errTooLong, len(value), maxRecord)
	case ttl <= 0:
		return 0, errors.New("the time to keep it until has passed")
	}
	return ttl, nil
}

// isRecordKey reports whether a key means itself and nothing else to a store.
func isRecordKey(key string) bool {
	return key != "" && len(key) <= maxRecordKey && strings.Trim(key, recordLetters) == "" &&
		key[0] != '.' && key[len(key)-1] != '.' && !strings.Contains(key, "..")
}
