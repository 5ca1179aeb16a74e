package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"
)

const (
	// tendEvery is how often a node looks after what is shared, and tendTime how
	// long the store has for it.
	tendEvery, tendTime = time.Minute, 5 * time.Second
	// electTime bounds how long a record is looked for in a store that does not
	// answer.
	electTime = 10 * time.Second
	// sharedTries bounds how often a change is tried anew, when others come in
	// between.
	sharedTries = 16
	// farAhead is when a time that a key is used from cannot be right: a node's
	// clock was wrong.
	farAhead = time.Hour
)

// errUnsealed: a record that everybody can open who has the store.
var errUnsealed = errors.New("it is not sealed")

// A form says what a siteRecord is of. R is a value that does not change.
type form[R any] struct {
	name  string // Its key in the bucket, and what it is sealed under.
	what  string // For errors and the log.
	fresh func(now time.Time) R
	// due returns the record as it should be at now, or false if it is that.
	due    func(r R, now time.Time) (R, bool)
	encode func(R) ([]byte, error)
	// decode reads what a node has written. Its errors quote nothing of it.
	decode func([]byte) (R, error)
	// use takes a record into use. It is called again when time has passed.
	use func(r R, now time.Time) error
}

// A siteRecord is one record that all nodes have in use. The first node makes it; each
// puts it back where the store has lost it, and whoever is first changes it when
// its time has come. It is sealed by a vault.
type siteRecord[R any] struct {
	// Immutable after open.
	form[R]
	bucket bucket
	vault  *vault
	log    *slog.Logger
	stop   func()

	mu sync.Mutex
	// Guarded by mu.
	record   R
	revision uint64
	since    time.Time // Of the bucket that revision is of.
}

// openSiteRecord finds the record, or makes it, and looks after it until close. ctx is
// for the time until it was found.
func openSiteRecord[R any](ctx context.Context, b bucket, v *vault, log *slog.Logger, f form[R]) (*siteRecord[R], error) {
	s := &siteRecord[R]{form: f, bucket: b, vault: v, log: log}
	// A cluster may be electing the leader of a bucket that was just made.
	err := s.find(ctx)
	for end := time.Now().Add(electTime); errors.Is(err, errCutOff) && ctx.Err() == nil && time.Now().Before(end); err = s.find(ctx) {
		time.Sleep(redialWait)
	}
	if err != nil {
		return nil, err
	}
	unwatch, err := b.watch(ctx, s.hear)
	if err != nil {
		return nil, unreachable("watch "+s.what, err)
	}
	running, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.tendUntil(running)
	}()
	s.stop = sync.OnceFunc(func() {
		cancel()
		<-done
		unwatch()
	})
	return s, nil
}

// close ends what openSiteRecord began. What is in use stays so.
func (s *siteRecord[R]) close() { s.stop() }

// find reads the record, or makes it. One that is not sealed, or under a key that
// seals no more, is written anew. What is under a key that is not known is an
// error, and stays as it is.
func (s *siteRecord[R]) find(ctx context.Context) error {
	for range sharedTries {
		e, err := s.bucket.get(ctx, s.name)
		absent := errors.Is(err, errNotFound)
		if err != nil && !absent {
			return unreachable("read "+s.what, err)
		}
		r, again := s.fresh(time.Now()), true
		if !absent {
			found, foundAgain, err := s.read(e.value)
			switch {
			case err == nil:
				r, again = found, foundAgain
			case errors.Is(err, errUnsealed):
				// Whoever could read the store knew it. And whoever can write there
				// could choose what is in use, if this were taken.
				s.log.Warn("a record was kept unsealed, by an older version or without a key: it is replaced, and what was made with it is refused", "record", s.what)
			default:
				return fmt.Errorf("read %s: %w", s.what, err)
			}
		}
		if !again {
			return s.adopt(r, e.revision, time.Now())
		}
		err = s.write(ctx, r, e.revision)
		if !errors.Is(err, errExists) && !errors.Is(err, errConflict) { // Another node was faster.
			return err
		}
	}
	return unreachable("make "+s.what, errConflict)
}

// read opens and decodes a record. It reports whether it should be sealed again.
func (s *siteRecord[R]) read(text []byte) (r R, again bool, err error) {
	var version struct {
		V int `json:"v"`
	}
	if json.Unmarshal(text, &version) == nil && version.V == 1 {
		return r, false, errUnsealed
	}
	plain, again, err := s.vault.open(s.name, text)
	if err != nil {
		return r, false, err
	}
	r, err = s.decode(plain)
	return r, again, err
}

// write stores a record in the place of that with revision, or with 0 of none, and
// takes it into use. errExists and errConflict are returned as they are.
func (s *siteRecord[R]) write(ctx context.Context, r R, revision uint64) error {
	plain, err := s.encode(r)
	if err != nil {
		return fmt.Errorf("encode %s: %w", s.what, err)
	}
	text, err := s.vault.seal(s.name, plain)
	if err != nil {
		return fmt.Errorf("seal %s: %w", s.what, err)
	}
	if revision == 0 {
		revision, err = s.bucket.create(ctx, s.name, text, 0)
	} else {
		revision, err = s.bucket.update(ctx, s.name, text, revision, 0)
	}
	switch {
	case errors.Is(err, errExists), errors.Is(err, errConflict):
		return err
	case err != nil:
		return unreachable("write "+s.what, err)
	}
	return s.adopt(r, revision, time.Now())
}

// hear takes what another node has changed.
func (s *siteRecord[R]) hear(e entry) {
	if e.key != s.name || e.removed {
		return
	}
	s.mu.Lock()
	known := s.bucket.since().Equal(s.since) && e.revision <= s.revision
	s.mu.Unlock()
	if known {
		return
	}
	r, _, err := s.read(e.value)
	if err == nil {
		err = s.adopt(r, e.revision, time.Now())
	}
	if err != nil {
		s.log.Error("a record cannot be read; the last one stays in use", "record", s.what, "error", err)
	}
}

// adopt takes a record into use unless a later one is.
func (s *siteRecord[R]) adopt(r R, revision uint64, now time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	since := s.bucket.since()
	if since.Equal(s.since) && revision <= s.revision {
		return nil
	}
	s.record, s.revision, s.since = r, revision, since
	return s.use(r, now)
}

// tendUntil looks after the record until ctx ends.
func (s *siteRecord[R]) tendUntil(ctx context.Context) {
	tick := time.NewTicker(tendEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		each, cancel := context.WithTimeout(ctx, tendTime)
		if err := s.tend(each, time.Now()); err != nil {
			s.log.Debug("a record was not looked after", "record", s.what, "error", err)
		}
		cancel()
	}
}

// tend puts the record back where the store has lost it, changes it when its time
// has come, and uses it as it is to be used now.
func (s *siteRecord[R]) tend(ctx context.Context, now time.Time) error {
	s.mu.Lock()
	r, revision := s.record, s.revision
	err := s.use(r, now) // The turn of a key comes without a change.
	s.mu.Unlock()
	if err != nil {
		return err
	}
	e, err := s.bucket.get(ctx, s.name)
	switch {
	case errors.Is(err, errNotFound):
		err = s.write(ctx, r, 0)
	case err != nil:
		return err
	case e.revision != revision:
		s.hear(e)
		return nil // The next time will do.
	default:
		next, due := s.due(r, now)
		if !due {
			return nil
		}
		err = s.write(ctx, next, revision)
	}
	if errors.Is(err, errExists) || errors.Is(err, errConflict) {
		return nil // Another node did it, and this one hears of it.
	}
	return err
}

// change replaces the record by what f makes of it, which may be called again
// where another node was faster. An error of f's is returned as it is; where f
// returns false, nothing is changed.
func (s *siteRecord[R]) change(ctx context.Context, f func(r R, now time.Time) (R, bool, error)) error {
	for range sharedTries {
		e, err := s.bucket.get(ctx, s.name)
		if err != nil {
			return unreachable("read "+s.what, err)
		}
		r, _, err := s.read(e.value)
		if err != nil {
			return fmt.Errorf("read %s: %w", s.what, err)
		}
		next, changed, err := f(r, time.Now())
		if err != nil {
			return err
		}
		if !changed {
			return s.adopt(r, e.revision, time.Now())
		}
		if err := s.write(ctx, next, e.revision); !errors.Is(err, errConflict) {
			return err
		}
	}
	return unreachable("change "+s.what, errConflict)
}

// strictJSON decodes one JSON value with known members only. Its error quotes
// nothing of the text.
func strictJSON(text []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if d.Decode(to) != nil {
		return errors.New("not a record of this version of usher")
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return errors.New("something follows the record")
	}
	return nil
}
