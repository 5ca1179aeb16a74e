package usher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMaxStale = 24 * time.Hour
	defaultCooldown = 30 * time.Second

	// firstRetry is how long after a failed fetch the next one may begin; it
	// doubles with each failure, up to lastRetry.
	firstRetry = time.Second
	lastRetry  = time.Minute
)

// A JWKS is a key set that is fetched from a URL (RFC 7517 §5), its own or the
// one that its issuer's configuration names, and kept up to date. Set its fields,
// then call Start when the process starts, so that no handshake waits for the
// first fetch. Without Start the first token does.
// It must not be copied after first use.
//
// The document is fetched again after the time that its Cache-Control says,
// between 1 minute and 1 hour, or 15 minutes if it says none, a little earlier
// at random, while the keys at hand go on being used. A fetch may take 5 s, the
// document may have 1 MiB and 100 keys. Redirects are refused, and so are
// private and symmetric keys. When a fetch fails, or the document is broken or
// has no usable key, the keys at hand stay for MaxStale. There is never more
// than one fetch at a time.
type JWKS struct {
	// URL is where the document is: https, or http on the loopback interface.
	// Required, but for Issuer.
	URL string
	// Issuer finds the URL instead, in the configuration that an issuer publishes
	// (OpenID Connect Discovery §4, or else RFC 8414 §3), whenever keys are
	// fetched: https, or http on the loopback interface. That document must name
	// exactly this issuer, and an https issuer's keys must be at https too.
	// Default: none.
	Issuer string
	// Client makes the requests. Its CheckRedirect, Jar and Timeout are not
	// used. Default: one that keeps no connections.
	Client *http.Client
	// MaxStale is how long keys are used after they were last fetched. After
	// that every token is ErrUnavailable. Default: 24 h.
	MaxStale time.Duration
	// Cooldown is the shortest time between a fetch and another that is made
	// because a token names a key that is not in the document: so long a key
	// that was not published ahead of its use may stay unknown, and no flood of
	// made-up names causes more than one fetch in it. Default: 30 s.
	Cooldown time.Duration
	// Log gets failed fetches (warn) and others (debug), by the host's name.
	// Default: slog.Default().
	Log *slog.Logger

	current atomic.Pointer[keySnapshot]
	running sync.WaitGroup // The loop of Start, and the fetch.

	mu sync.Mutex
	// Guarded by mu.
	fetch    *keyFetch // Under way, or nil.
	began    time.Time // Of the last fetch.
	retry    time.Time // When the next may begin, after a failed one.
	failures int
	failure  error // Of the last fetch, or nil.
	started  bool
	closed   bool
	stop     context.CancelFunc // Of the loop, or nil.
}

// A keySnapshot is a document that was fetched. It does not change.
type keySnapshot struct {
	keys    *keyIndex
	fetched time.Time
	due     time.Time // When to fetch it again.
}

// A keyFetch is a fetch under way, and what all who wait for it have in common.
type keyFetch struct {
	done   chan struct{}
	cancel context.CancelFunc
	err    error // Set before done is closed.
}

var errClosed = errors.New("key set is closed")

// Validate reports a URL or Issuer that will not be asked, none or both of them,
// and a negative MaxStale or Cooldown. As long as it is an error, nothing is fetched.
func (j *JWKS) Validate() error {
	if _, err := j.source(); err != nil {
		return fmt.Errorf("jwks: %w", err)
	}
	return nil
}

// Start begins to fetch the keys and keeps them up to date until ctx ends or
// Close is called. It does not wait for the first fetch: what needs keys before
// does. It is an error if Validate refuses, and if it was started or closed
// before.
func (j *JWKS) Start(ctx context.Context) error {
	if err := j.Validate(); err != nil {
		return err
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.closed:
		return fmt.Errorf("start jwks: %w", errClosed)
	case j.started:
		return errors.New("start jwks: started before")
	}
	ctx, j.stop = context.WithCancel(ctx)
	j.started = true
	j.running.Go(func() { j.keepFresh(ctx) })
	return nil
}

// Close ends what Start began, and a fetch that is under way, and waits for
// both. Afterwards the keys at hand are used until they are stale, and none are
// fetched. It may be called more than once, and always returns nil.
func (j *JWKS) Close() error {
	j.end()
	j.running.Wait()
	return nil
}

func (j *JWKS) end() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.closed = true
	if j.stop != nil {
		j.stop()
	}
	if j.fetch != nil {
		j.fetch.cancel()
	}
}

// keepFresh fetches whenever it is time, until ctx ends.
func (j *JWKS) keepFresh(ctx context.Context) {
	defer j.end()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		if f := j.begin(time.Now(), j.refreshFrom); f != nil {
			select {
			case <-f.done:
			case <-ctx.Done():
				return
			}
		}
		j.mu.Lock()
		next := j.refreshFrom()
		j.mu.Unlock()
		timer.Reset(time.Until(next))
	}
}

// Keys implements KeySet. A token whose key is at hand never waits. One whose
// key is not waits for a fetch if one may be made or is under way, for as long
// as ctx allows.
func (j *JWKS) Keys(ctx context.Context, kid string) ([]Key, error) {
	now := time.Now()
	from := j.refreshFrom
	if s := j.usable(now); s != nil {
		if keys := s.keys.find(kid); len(keys) > 0 {
			if !now.Before(s.due) {
				j.begin(now, j.refreshFrom)
			}
			return keys, nil
		}
		from = j.unknownFrom
	}
	err := j.lastFailure()
	if f := j.begin(now, from); f != nil {
		if err = f.wait(ctx); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
		}
	}
	if s := j.usable(time.Now()); s != nil {
		if keys := s.keys.find(kid); len(keys) > 0 || err == nil {
			return keys, nil
		}
	}
	if err == nil {
		err = errors.New("no keys at hand")
	}
	// The key may have been published since: it cannot be told. Fail closed.
	return nil, fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// usable returns the keys at hand, or nil if there are none or they are stale.
func (j *JWKS) usable(now time.Time) *keySnapshot {
	s := j.current.Load()
	if s == nil || !now.Before(s.fetched.Add(cmp.Or(j.MaxStale, defaultMaxStale))) {
		return nil
	}
	return s
}

func (j *JWKS) lastFailure() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.failure
}

// refreshFrom says when the next regular fetch may begin. Callers hold mu.
func (j *JWKS) refreshFrom() time.Time {
	if s := j.current.Load(); j.failures == 0 && s != nil {
		return s.due
	}
	return j.retry
}

// unknownFrom says when the next fetch for a key that is not in the document
// may begin. Callers hold mu.
func (j *JWKS) unknownFrom() time.Time {
	return j.began.Add(cmp.Or(j.Cooldown, defaultCooldown))
}

// begin returns the fetch under way, or begins one if it may begin now. It
// returns nil if it may not.
func (j *JWKS) begin(now time.Time, from func() time.Time) *keyFetch {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case j.fetch != nil:
		return j.fetch
	case j.closed || now.Before(from()):
		return nil
	}
	// No caller's context: the fetch is for all who wait for it.
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	f := &keyFetch{done: make(chan struct{}), cancel: cancel}
	j.fetch, j.began = f, now
	j.running.Go(func() {
		defer cancel()
		s, err := j.get(ctx)
		j.finish(f, s, err)
	})
	return f
}

// finish takes over what was fetched. On an error the keys at hand stay.
func (j *JWKS) finish(f *keyFetch, s *keySnapshot, err error) {
	now := time.Now()
	j.mu.Lock()
	closed := j.closed
	j.fetch, j.failure, f.err = nil, err, err
	if err == nil {
		j.failures = 0
		j.current.Store(s)
	} else {
		j.failures++
		wait := min(firstRetry<<min(j.failures-1, 10), lastRetry)
		j.retry = now.Add(jitter(wait))
	}
	j.mu.Unlock()
	close(f.done)
	switch {
	case err == nil:
		j.logger().Debug("keys fetched", "host", j.host(), "keys", len(s.keys.all), "next", s.due)
	case !closed:
		j.logger().Warn("keys not fetched", "host", j.host(), "error", err)
	}
}

// wait returns when the fetch is over or ctx ends.
func (f *keyFetch) wait(ctx context.Context) error {
	select {
	case <-f.done:
		return f.err
	case <-ctx.Done():
		return fmt.Errorf("wait for keys: %w", ctx.Err())
	}
}

func (j *JWKS) logger() *slog.Logger {
	if j.Log != nil {
		return j.Log
	}
	return slog.Default()
}
