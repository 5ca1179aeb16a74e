package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"time"

	"github.com/usher-ws/usher"
)

const (
	// spendTimeout is how long a handshake waits for the store to spend an id.
	spendTimeout = time.Second
	// recallTimeout is how long it waits after that to learn who has spent it.
	recallTimeout = time.Second
	recallPause   = 50 * time.Millisecond
)

// A ledger is the [usher.Spender] over a bucket that nodes share.
type ledger struct {
	b    bucket
	down func() (time.Time, error)
	// here remembers what this node has spent, by a clock that nobody sets: the
	// store's entries end by the wall clock, which may be set ahead and back.
	here usher.MemorySpender
}

// Since returns when the bucket was made.
func (l *ledger) Since() time.Time { return l.b.since() }

// Spend writes first: of all calls with one id the store lets one create the
// entry. The entry's value is drawn for this call alone, so that after an
// answer was lost it can be told whether it was this one. While the store is
// known to be out of reach it fails at once: browsers do one handshake after
// another, and each would wait.
func (l *ledger) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	left := until.Round(0).Sub(time.Now().Round(0))
	if left <= 0 {
		return errors.New("spend: the time to remember it until has passed")
	}
	if _, err := l.down(); err != nil {
		return fmt.Errorf("spend: %w: %w", usher.ErrUnavailable, err)
	}
	if err := l.here.Spend(ctx, id, until); err != nil {
		return err
	}
	attempt := rand.Text()
	key := "id." + hex.EncodeToString(id[:])
	err := l.create(ctx, key, attempt, left)
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errExists):
		return usher.ErrSpent
	case errors.Is(err, errFull), errors.Is(err, errCutOff):
		return fmt.Errorf("spend: %w: %w", usher.ErrUnavailable, err)
	}
	return l.recall(ctx, key, attempt, err)
}

func (l *ledger) create(ctx context.Context, key, attempt string, ttl time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, spendTimeout)
	defer cancel()
	_, err := l.b.create(ctx, key, []byte(attempt), ttl)
	return err
}

// recall finds out what became of a create whose answer was lost. That there is
// no entry tells nothing: it may be on its way still.
func (l *ledger) recall(ctx context.Context, key, attempt string, cause error) error {
	ctx, cancel := context.WithTimeout(ctx, recallTimeout)
	defer cancel()
	for {
		e, err := l.b.get(ctx, key)
		switch {
		case err == nil && string(e.value) == attempt:
			return nil
		case err == nil:
			return usher.ErrSpent
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("spend: %w: %w", usher.ErrUnavailable, cause)
		case <-time.After(recallPause):
		}
	}
}
