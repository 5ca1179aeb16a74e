package engine

import (
	"context"
	"errors"
	"time"
)

// A store is what an engine is built on: JetStream, or this process's memory.
// All else in this package is written once, over both.
type store interface {
	// bucket returns the bucket called name, and makes it where there is none.
	// The kind of a bucket never changes.
	bucket(ctx context.Context, name string, kind bucketKind) (bucket, error)
	// ask sends data to all other nodes that serve subject, and calls answer
	// with each of their answers, until all have answered or ctx ends.
	ask(ctx context.Context, subject string, data []byte, answer func([]byte)) error
	// serve answers what other nodes ask about subject until stop is called.
	serve(subject string, f func(data []byte) []byte) (stop func(), err error)
	// check reports why the store cannot be reached or written to, or nil.
	check(ctx context.Context) error
	// down returns since when and why the store cannot be reached or written
	// to, as far as it is known. It asks nobody.
	down() (time.Time, error)
	// close ends it. Nothing is called after it.
	close() error
}

// A bucketKind says what can be done with a bucket's entries.
type bucketKind int

const (
	// passing: entries are made and read, and end when their time is over.
	passing bucketKind = iota
	// watched: they can be watched, updated and removed as well.
	watched
	// changing: they can be updated and removed.
	changing
)

// A bucket is a set of entries by key that all nodes share. Keys are of letters,
// digits, '-', '_' and '.'. An error that is none of those below means that it
// is not known whether the call had an effect.
type bucket interface {
	// create adds an entry, for ttl or with 0 for ever. Its error is errExists
	// where there is one: of racing calls one succeeds, on all nodes together.
	create(ctx context.Context, key string, value []byte, ttl time.Duration) (revision uint64, err error)
	// get returns the entry of key, never a stale one, or errNotFound.
	get(ctx context.Context, key string) (entry, error)
	// update replaces an entry that has this revision still, else it is
	// errConflict. The new one is kept for ttl, or with 0 for ever.
	update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error)
	// remove removes an entry, if there is one. With a revision other than 0 it has
	// that still, else it is errConflict.
	remove(ctx context.Context, key string, revision uint64) error
	// watch calls f with every entry there is, before it returns, and from then on
	// with each change, one at a time; after it was cut off, with what it has
	// missed. It may tell of an entry again. stop returns when f is called no more.
	watch(ctx context.Context, f func(entry)) (stop func(), err error)
	// since returns when the bucket was made. It is later than before where the
	// store has lost what it had.
	since() time.Time
}

// An entry is a key with its value. Revisions of a bucket only rise, also where
// the store has lost what it had.
type entry struct {
	key      string
	value    []byte
	revision uint64
	removed  bool // Also where its time was over.
}

var (
	errExists   = errors.New("entry exists")
	errNotFound = errors.New("no such entry")
	errConflict = errors.New("entry was changed by another")
	errFull     = errors.New("the store takes no more")
	// Neither of these had an effect.
	errCutOff  = errors.New("the store cannot be reached")
	errTooLong = errors.New("the entry is too long")
)

// What buckets hold at most. Clients cannot make entries beyond it, whatever
// they send.
const (
	maxValue    = 64 << 10  // In bytes.
	maxChanging = 1_000_000 // Entries of a bucket of that kind.
	maxTTL      = 100 * 365 * 24 * time.Hour
)
