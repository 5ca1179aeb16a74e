package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// keyTries bounds how often a change is tried anew: each time another one
	// came in between, or a random id was taken.
	keyTries = 32
	// keyCleanup is how long Create takes at most, after its own time, to remove
	// a key that it does not know to exist.
	keyCleanup = time.Second
)

// errStoreLost: what was written is gone, and so is all else.
var errStoreLost = fmt.Errorf("%w: the store has lost what it had", usher.ErrUnavailable)

// Create makes a new key of k's Name, May, Scope, Capability, Audiences, Expires
// and Disabled; the other fields of k do not matter. It returns the key as it was stored, and its
// text, "usher_<id>_<secret>": this is the only time that it is shown.
//
// The errors are those of [Key.Validate]; one that says that there are MaxKeys
// keys, which nodes that race can exceed by one each; or usher.ErrUnavailable
// where it is not known that the key was stored. Then nobody has its text. If it
// was stored after all and cannot be removed, it is in the list, and of no use.
func (k *Keys) Create(ctx context.Context, key Key) (Key, usher.Secret, error) {
	if err := key.Validate(); err != nil {
		return Key{}, usher.Secret{}, fmt.Errorf("create API key: %w", err)
	}
	since := k.bucket.since()
	if !k.mirror.reserve(since) {
		return Key{}, usher.Secret{}, fmt.Errorf("create API key: there are %d keys, which is the bound: remove some", MaxKeys)
	}
	defer k.mirror.release()
	key, err := key.canonical()
	if err != nil {
		return Key{}, usher.Secret{}, fmt.Errorf("create API key: %w", err)
	}
	key.Created = time.Now().UTC().Truncate(time.Microsecond)
	key.Expires, key.OldUntil = utc(key.Expires.Truncate(time.Microsecond)), time.Time{}
	for range keyTries {
		key.ID = newKeyID()
		if k.mirror.known(key.ID) {
			continue
		}
		text := newKeyText(key.ID)
		err := k.store(ctx, since, keyRecord{key: key, digest: digestOf(text)})
		if errors.Is(err, errExists) {
			continue
		}
		if err != nil {
			return Key{}, usher.Secret{}, unreachable("create API key", err)
		}
		return key.clone(), text, nil
	}
	return Key{}, usher.Secret{}, unreachable("create API key", errExists)
}

// store adds the record of a new key.
func (k *Keys) store(ctx context.Context, since time.Time, r keyRecord) error {
	value, err := r.encode()
	if err != nil {
		return fmt.Errorf("encode its record: %w", err)
	}
	revision, err := k.bucket.create(ctx, r.key.ID, value, 0)
	if errors.Is(err, errExists) {
		return err
	}
	if err != nil {
		// It may be there. The caller's time may be over, so this takes its own.
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), keyCleanup)
		defer cancel()
		if k.bucket.remove(ctx, r.key.ID, 0) == nil {
			k.mirror.goneHere(since, r.key.ID, 0)
		}
		return err
	}
	k.mirror.putHere(since, r, revision)
	return k.checkLost(since)
}

// checkLost returns errStoreLost where the store has lost what it had at since.
func (k *Keys) checkLost(since time.Time) error {
	if !k.bucket.since().Equal(since) {
		return errStoreLost
	}
	return nil
}

// Disable sets whether the key is disabled, and returns it as it is then. Its
// error is ErrNoKey where there is none with this id; with usher.ErrUnavailable
// it is not known whether it was changed.
func (k *Keys) Disable(ctx context.Context, id string, disabled bool) (Key, error) {
	if !isKeyID(id) {
		return Key{}, fmt.Errorf("disable API key: %w", ErrNoKey)
	}
	return k.change(ctx, "disable API key", id, func(r *keyRecord) { r.key.Disabled = disabled })
}

// Rotate gives the key another secret, and returns its text; this is the only time
// that it is shown. The one before is good for overlap from now on, and no longer
// than the key; one from before that no more. Its error is as that of Disable: with
// usher.ErrUnavailable the key may have a secret that nobody knows, and the one
// before is good for overlap, so try again.
func (k *Keys) Rotate(ctx context.Context, id string, overlap time.Duration) (Key, usher.Secret, error) {
	if !isKeyID(id) {
		return Key{}, usher.Secret{}, fmt.Errorf("rotate API key: %w", ErrNoKey)
	}
	text := newKeyText(id)
	key, err := k.change(ctx, "rotate API key", id, func(r *keyRecord) {
		r.old, r.digest, r.key.OldUntil = r.digest, digestOf(text), time.Time{}
		if overlap > 0 {
			r.key.OldUntil = time.Now().Add(overlap).UTC().Truncate(time.Microsecond)
		} else {
			r.old = digest{}
		}
	})
	if err != nil {
		return Key{}, usher.Secret{}, err
	}
	return key, text, nil
}

// change replaces a key's record by what f makes of it.
func (k *Keys) change(ctx context.Context, what, id string, f func(*keyRecord)) (Key, error) {
	since := k.bucket.since()
	for range keyTries {
		r, err := k.tryChange(ctx, since, id, f)
		switch {
		case errors.Is(err, errConflict):
			continue // Another one was faster: look again.
		case errors.Is(err, errNotFound):
			return Key{}, fmt.Errorf("%s: %w", what, ErrNoKey)
		case errors.Is(err, usher.ErrUnavailable):
			return Key{}, unreachable(what, err)
		case err != nil:
			return Key{}, fmt.Errorf("%s: %w", what, err)
		}
		return r.key.clone(), nil
	}
	return Key{}, unreachable(what, errConflict)
}

// tryChange tries once, and returns errConflict and errNotFound as they are.
func (k *Keys) tryChange(ctx context.Context, since time.Time, id string, f func(*keyRecord)) (keyRecord, error) {
	e, err := k.bucket.get(ctx, id)
	if errors.Is(err, errNotFound) {
		k.mirror.missing(since, id)
		return keyRecord{}, err
	}
	if err != nil {
		return keyRecord{}, unreachable("read API key", err)
	}
	r, err := decodeRecord(id, e.value)
	if err != nil {
		return keyRecord{}, fmt.Errorf("read API key %s: its record: %w", id, err)
	}
	f(&r)
	value, err := r.encode()
	if err != nil {
		return keyRecord{}, fmt.Errorf("encode API key: %w", err)
	}
	if !bytes.Equal(value, e.value) {
		e.revision, err = k.bucket.update(ctx, id, value, e.revision, 0)
		if errors.Is(err, errConflict) {
			return keyRecord{}, err
		}
		if err != nil {
			return keyRecord{}, unreachable("write API key", err)
		}
	}
	k.mirror.putHere(since, r, e.revision)
	return r, k.checkLost(since)
}

// Remove ends a key for ever, also one whose record cannot be read. Its error
// is ErrNoKey where there is none with this id; with usher.ErrUnavailable it is
// not known whether it was removed.
func (k *Keys) Remove(ctx context.Context, id string) error {
	if !isKeyID(id) {
		return fmt.Errorf("remove API key: %w", ErrNoKey)
	}
	since := k.bucket.since()
	e, err := k.bucket.get(ctx, id)
	if errors.Is(err, errNotFound) {
		k.mirror.missing(since, id)
		return fmt.Errorf("remove API key: %w", ErrNoKey)
	}
	if err != nil {
		return unreachable("read API key", err)
	}
	if err := k.bucket.remove(ctx, id, 0); err != nil {
		return unreachable("remove API key", err)
	}
	k.mirror.goneHere(since, id, e.revision)
	return nil
}
