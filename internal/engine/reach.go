package engine

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

const (
	// lookEvery is how often it is looked whether the store is there while it
	// is, and lookAgain while it is not.
	lookEvery = 2 * time.Second
	lookAgain = 200 * time.Millisecond
	// lookTimeout bounds one look.
	lookTimeout = time.Second
	// writeEvery is how often it is tried whether the store can be written to,
	// while nothing makes one doubt it.
	writeEvery = 10 * time.Second
)

// A reach knows whether the store can be reached and written to. It looks by
// itself, and at once where others suspect that it cannot, so that nobody waits
// in vain for long.
type reach struct {
	// Immutable after newReach.
	log   *slog.Logger
	ofHub bool          // It is of the hub's log, and not of the engine itself.
	doubt chan struct{} // Holds one.

	mu sync.Mutex
	// Guarded by mu.
	since time.Time
	why   error
}

func newReach(o Options) *reach {
	return &reach{log: o.Log, ofHub: o.ofHub, doubt: make(chan struct{}, 1)}
}

// suspect has somebody look soon, and write.
func (r *reach) suspect() {
	select {
	case r.doubt <- struct{}{}:
	default:
	}
}

// lost notes that the store cannot be reached, or not be written to.
func (r *reach) lost(why error) {
	r.mu.Lock()
	first := r.why == nil
	if first {
		r.since = time.Now()
	}
	r.why = why
	r.mu.Unlock()
	switch {
	case first && r.ofHub:
		r.log.Warn("hub's log is out of reach: publishes are refused", slog.Any("error", why))
	case first:
		r.log.Warn("engine is out of reach: tickets are refused", slog.Any("error", why))
	}
}

// back notes that the store was reached and written to.
func (r *reach) back() {
	r.mu.Lock()
	since, was := r.since, r.why != nil
	r.since, r.why = time.Time{}, nil
	r.mu.Unlock()
	switch after := time.Since(since).Round(time.Millisecond); {
	case was && r.ofHub:
		r.log.Info("hub's log is back", slog.Duration("after", after))
	case was:
		r.log.Info("engine is back", slog.Duration("after", after))
	}
}

// down returns since when and why the store cannot be reached or written to.
func (r *reach) down() (time.Time, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.since, r.why
}

// watch looks until ctx ends. look is told whether to write, too.
func (r *reach) watch(ctx context.Context, look func(ctx context.Context, write bool) error) {
	wrote := time.Now()
	timer := time.NewTimer(lookEvery)
	defer timer.Stop()
	for {
		doubted := false
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-r.doubt:
			doubted = true
		}
		_, down := r.down()
		write := doubted || down != nil || time.Since(wrote) >= writeEvery
		err := r.look(ctx, write, look)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			r.lost(err)
			timer.Reset(lookAgain)
			continue
		case write:
			wrote = time.Now()
			r.back()
		}
		timer.Reset(lookEvery)
	}
}

func (r *reach) look(ctx context.Context, write bool, look func(context.Context, bool) error) error {
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return look(ctx, write)
}
