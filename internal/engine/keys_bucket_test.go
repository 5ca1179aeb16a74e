package engine

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/usher-ws/usher"
)

// newTestBucket returns a bucket in memory, with room for the bound of keys.
func newTestBucket() *memoryBucket { return newMemoryBucket(64 << 20) }

// A wireBucket is a node's way to a bucket: what is told on it arrives when the
// test says so, and calls can fail. before and after are called around each
// call, with its name; what they return is the call's error.
type wireBucket struct {
	bucket
	before, after func(call string) error

	mu sync.Mutex
	// Guarded by mu.
	open    bool // What is told arrives at once.
	moved   time.Duration
	tell    func(entry)
	waiting []entry
	told    []entry
}

func (w *wireBucket) around(call string, f func() error) error {
	if w.before != nil {
		if err := w.before(call); err != nil {
			return err
		}
	}
	err := f()
	if err == nil && w.after != nil {
		err = w.after(call)
	}
	return err
}

func (w *wireBucket) create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error) {
	err = w.around("create", func() error {
		revision, err = w.bucket.create(ctx, key, value, ttl)
		return err
	})
	return revision, err
}

func (w *wireBucket) update(ctx context.Context, key string, value []byte, old uint64, ttl time.Duration) (revision uint64, err error) {
	err = w.around("update", func() error {
		revision, err = w.bucket.update(ctx, key, value, old, ttl)
		return err
	})
	return revision, err
}

func (w *wireBucket) remove(ctx context.Context, key string, revision uint64) error {
	return w.around("remove", func() error { return w.bucket.remove(ctx, key, revision) })
}

func (w *wireBucket) get(ctx context.Context, key string) (e entry, err error) {
	err = w.around("get", func() error {
		e, err = w.bucket.get(ctx, key)
		return err
	})
	return e, err
}

func (w *wireBucket) since() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.bucket.since().Add(w.moved)
}

// lose is the store's disk going away: the bucket is made anew, empty. Nothing
// is told of what was in it, as of what is in the new one.
func (w *wireBucket) lose() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.bucket, w.moved, w.waiting = newTestBucket(), w.moved+time.Second, nil
}

func (w *wireBucket) watch(ctx context.Context, f func(entry)) (func(), error) {
	w.tell = f
	stop, err := w.bucket.watch(ctx, func(e entry) {
		w.mu.Lock()
		w.waiting = append(w.waiting, e)
		open := w.open
		w.mu.Unlock()
		if open {
			w.arrive(1)
		}
	})
	w.arrive(len(w.waiting))
	return stop, err
}

// arrive lets the next n changes arrive, or as many as there are.
func (w *wireBucket) arrive(n int) {
	for range n {
		w.mu.Lock()
		if len(w.waiting) == 0 {
			w.mu.Unlock()
			return
		}
		e := w.waiting[0]
		w.waiting, w.told = w.waiting[1:], append(w.told, e)
		w.mu.Unlock()
		w.tell(e)
	}
}

var errWire = errors.New("connection is gone")

// testKeys opens the keys in b for as long as the test runs.
func testKeys(t testing.TB, b bucket) *Keys {
	t.Helper()
	k, err := newKeys(t.Context(), b, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatalf("newKeys: %v", err)
	}
	t.Cleanup(k.close)
	return k
}

// create makes a key that must be made.
func create(t testing.TB, k *Keys, key Key) (Key, usher.Secret) {
	t.Helper()
	made, text, err := k.Create(context.Background(), key)
	if err != nil {
		t.Fatalf("Create: %v", err)
	}
	return made, text
}
