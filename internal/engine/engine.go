package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/usher-ws/usher"
)

// Options say where an engine keeps things: exactly one of Memory, Data and
// NATS is set.
type Options struct {
	// Memory keeps everything in this process, until it ends.
	Memory bool
	// Data is the directory of a JetStream server inside this process, which
	// listens nowhere. It is made where it does not exist, with mode 0700. One
	// process at a time can use it. What was acknowledged is on disk.
	Data string
	// NATS is a cluster of NATS servers with JetStream, which all nodes share.
	NATS *NATS
	// Key is the key-encryption key, under which secrets and signing keys are
	// sealed: a random text of at least 32 bytes, the same on all nodes. Default:
	// with Data one is made there, in the file usher.key; with NATS there is
	// none, which is a warning in the log.
	Key usher.Secret
	// OldKey opens what is sealed under it, which is sealed under Key then.
	// Default: none.
	OldKey usher.Secret
	// Log is told when the store is out of reach, and when it is back. Default:
	// slog.Default().
	Log *slog.Logger

	// maxBytes bounds each bucket, and for a server inside this process all of
	// them. Default: what the disk has.
	maxBytes int64
	// syncEvery is how often what was written is put on the disk. Default: before
	// it is acknowledged.
	syncEvery time.Duration
	// ofHub is set where it is for the hub's log: see OpenLog.
	ofHub bool
}

// NATS says how a NATS cluster is reached. The package comment has the
// permissions that are needed there.
type NATS struct {
	// URLs are of servers of one cluster: nats://host:4222, or tls://host:4222
	// for which TLS is a must.
	URLs []string
	// Credentials is the path of a NATS credentials file (.creds). Default: none.
	Credentials string
	// CA is the path of a PEM file with the certificate authorities of the
	// servers, and makes TLS a must. Default: those of the system.
	CA string
	// Replicas is on how many servers each bucket is kept, 1 to 5, when it is
	// made. Default: 3 where there are at least three URLs, else 1.
	Replicas int
}

// Names of the buckets.
const (
	spentBucket       = "spent"
	revocationsBucket = "revocations"
	keysBucket        = "keys"
)

// maxBuckets is how many there are, with those of secrets, of both records and
// of the hub's apps.
const maxBuckets = 7

// An Engine keeps what nodes share: see the package comment. It is a
// [usher.Spender] and a [usher.Bus]. Its methods may be called by many
// goroutines at once, and not after Close.
type Engine struct {
	// Immutable after Open.
	kind        string
	log         *slog.Logger
	store       store
	spent       rememberer
	revocations bucket
	known       atomic.Int64 // How many revocations are kept, as far as this node has heard.
	knownTokens atomic.Int64 // Those of them that name a token.
	keys        *Keys
	vault       *vault
	shared      bucket // Of secrets and signing keys.
	secrets     *Secrets

	mu sync.Mutex
	// Guarded by mu.
	closing []func() // What Close calls first.
}

// A rememberer is a Spender that says since when it remembers.
type rememberer interface {
	usher.Spender
	Since() time.Time
}

var (
	_ usher.Bus  = (*Engine)(nil)
	_ rememberer = (*Engine)(nil)
)

// Open opens an engine, or makes it. It waits for a NATS cluster that cannot be
// reached until ctx ends; what will not get better by waiting is an error at
// once.
func Open(ctx context.Context, o Options) (*Engine, error) {
	if o.Log == nil {
		o.Log = slog.Default()
	}
	e := &Engine{log: o.Log}
	chosen := 0
	for _, is := range []bool{o.Memory, o.Data != "", o.NATS != nil} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		return nil, errors.New("open engine: exactly one of Memory, Data and NATS must be set")
	}
	var err error
	switch {
	case o.Memory:
		e.kind, e.store = "memory", newMemory(o.maxBytes)
	case o.Data != "":
		e.kind = "embedded"
		e.store, err = openEmbedded(ctx, o)
	default:
		e.kind = "nats"
		e.store, err = openCluster(ctx, o)
	}
	if err == nil {
		err = e.open(ctx, o)
	}
	if err != nil {
		return nil, fmt.Errorf("open engine: %w", err)
	}
	return e, nil
}

// open opens the buckets.
func (e *Engine) open(ctx context.Context, o Options) (err error) {
	defer func() {
		if err != nil {
			err = errors.Join(err, e.Close())
		}
	}()
	if e.vault, err = o.vault(e.store); err != nil {
		return err
	}
	if e.kind == "memory" {
		m := new(usher.MemorySpender)
		m.Since() // Begins to remember.
		e.spent = m
	} else {
		b, err := e.store.bucket(ctx, spentBucket, passing)
		if err != nil {
			return err
		}
		e.spent = &ledger{b: b, down: e.store.down}
	}
	if e.revocations, err = e.store.bucket(ctx, revocationsBucket, watched); err != nil {
		return err
	}
	b, err := e.store.bucket(ctx, keysBucket, watched)
	if err != nil {
		return err
	}
	if e.keys, err = newKeys(ctx, b, e.log); err != nil {
		return err
	}
	e.opened(e.keys.close)
	if e.shared, err = e.store.bucket(ctx, secretsBucket, watched); err != nil {
		return err
	}
	if e.secrets, err = newSecrets(ctx, e.shared, e.vault, e.log); err != nil {
		return err
	}
	e.opened(e.secrets.close)
	return nil
}

// opened has Close call f.
func (e *Engine) opened(f func()) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closing = append(e.closing, f)
}

// Spend implements [usher.Spender]. It takes at most a second; after an answer
// that was lost a second more, to learn from the store who has spent the id.
// While the store is known to be out of reach, or full, it fails at once. All
// its errors but ErrSpent, and that of an until that has passed, wrap
// [usher.ErrUnavailable].
func (e *Engine) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	return e.spent.Spend(ctx, id, until)
}

// Since returns since when spent ids are remembered: when the store was made.
// It is later than before where the store has lost what it had, so that
// tickets which may have been used before are refused.
func (e *Engine) Since() time.Time { return e.spent.Since() }

// Keys are the API keys.
func (e *Engine) Keys() *Keys { return e.keys }

// Secrets are what all nodes seal and sign with.
func (e *Engine) Secrets() *Secrets { return e.secrets }

// Check returns why the store cannot be reached or written to, or nil. It is
// cheap enough to be asked every other second, and takes at most a second.
func (e *Engine) Check(ctx context.Context) error {
	if err := e.store.check(ctx); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	return nil
}

// Kind is "memory", "embedded" or "nats".
func (e *Engine) Kind() string { return e.kind }

// Down returns since when the store cannot be reached or written to, and the
// zero time while it can. It asks nobody: what has happened since the last
// look, 2 s ago at most, it does not know.
func (e *Engine) Down() time.Time {
	since, _ := e.store.down()
	return since
}

// Close ends everything that was opened, and what Subscribe has started.
func (e *Engine) Close() error {
	e.mu.Lock()
	closing := e.closing
	e.mu.Unlock()
	for _, f := range closing {
		f()
	}
	return e.store.close()
}
