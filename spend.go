package usher

import (
	"context"
	"errors"
	"time"
)

// A Spender remembers what may be used once: tickets, and other nonces. It is
// called from many goroutines at once. ushertest.TestSpender is the suite that
// every implementation must pass.
//
// Ids must not collide: they are random, or the hash of what is spent with its
// kind in front.
//
// A Spender that is empty after a restart, as one in memory is, should have a
// method Since() time.Time that says since when it remembers: always the same,
// or later once what it had was lost. [Tickets] refuses tickets that are older, since they may have been used
// before. Without the method it is taken to remember forever; whoever wraps a
// [MemorySpender] must pass the method on.
type Spender interface {
	// Spend marks id as used. The first call with an id returns nil, every
	// later one until the time until returns ErrSpent: on all nodes together,
	// also when they race. The until of later calls changes nothing. Any other
	// error means that it is not known whether id was spent, and the caller
	// refuses. An until that has passed promises nothing.
	Spend(ctx context.Context, id [16]byte, until time.Time) error
}

// ErrSpent is what Spend returns for an id that was used before.
var ErrSpent = errors.New("already used")

// remembersSince asks s since when it remembers. The zero time is forever.
func remembersSince(s Spender) time.Time {
	if s, ok := s.(interface{ Since() time.Time }); ok {
		// Tickets hold microseconds: what was made after must not seem older.
		return s.Since().Truncate(time.Microsecond)
	}
	return time.Time{}
}
