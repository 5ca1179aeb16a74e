package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/usher-ws/usher"
)

// restAfterFailure is how long a target that could not be reached is not asked
// again while there are others.
const restAfterFailure = 5 * time.Second

// A Pool is the targets of one route. A connection goes to the one with the
// fewest, of those that answered when last asked.
type Pool struct {
	timeout time.Duration // To connect.

	mu sync.Mutex
	// Guarded by mu.
	members []*member
}

// A member is a target with what is known of it. Guarded by the pool's mu.
type member struct {
	target *Target
	live   int
	rests  time.Time // Not asked before, while there are others.
	err    error     // Why it rests.
}

// NewPool returns a pool of targets that connects within timeout. A target is of
// one pool.
func NewPool(timeout time.Duration, targets ...*Target) *Pool {
	p := &Pool{timeout: timeout}
	for _, t := range targets {
		t.timeout = timeout
		p.members = append(p.members, &member{target: t})
	}
	return p
}

// Health says of each target why it cannot be reached, or nil.
func (p *Pool) Health() map[string]error {
	p.mu.Lock()
	defer p.mu.Unlock()
	health := make(map[string]error, len(p.members))
	for _, m := range p.members {
		health[m.target.name] = m.err
	}
	return health
}

// CloseIdle closes the connections that are kept for the next plain request.
// Those in use stay.
func (p *Pool) CloseIdle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		m.target.transport.CloseIdleConnections()
	}
}

// dial connects to a target, trying one after the other. The caller calls
// release once, when the connection is over. Its error wraps usher.ErrUnavailable,
// or is a *requestError of connect's.
func (p *Pool) dial(ctx context.Context, connect func(t *Target, within time.Duration) (net.Conn, error)) (c net.Conn, release func(), err error) {
	var tried map[*member]bool
	var errs []error
	for {
		m := p.take(tried)
		if m == nil {
			return nil, nil, fmt.Errorf("%w: %w", usher.ErrUnavailable, errors.Join(errs...))
		}
		c, err := connect(m.target, p.timeout)
		if err == nil {
			p.note(m, nil)
			return c, func() { p.give(m) }, nil
		}
		p.give(m)
		if ctx.Err() != nil { // The client went away: no fault of the target.
			return nil, nil, ctx.Err()
		}
		if _, ours := errors.AsType[*requestError](err); ours { // No fault of the target either.
			return nil, nil, err
		}
		if p.note(m, err); tried == nil {
			tried = make(map[*member]bool)
		}
		tried[m] = true
		errs = append(errs, fmt.Errorf("connect to upstream: %w", err))
	}
}

// take picks the member to ask next and counts a connection to it.
func (p *Pool) take(tried map[*member]bool) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	var best *member
	now := time.Now()
	for _, m := range p.members {
		if tried[m] {
			continue
		}
		if best == nil || better(m, best, now) {
			best = m
		}
	}
	if best != nil {
		best.live++
	}
	return best
}

// better reports whether a is to be asked before b.
func better(a, b *member, now time.Time) bool {
	if ra, rb := now.Before(a.rests), now.Before(b.rests); ra != rb {
		return rb
	}
	return a.live < b.live
}

func (p *Pool) give(m *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.live--
}

// note remembers whether m could be reached.
func (p *Pool) note(m *member, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.err = err
	m.rests = time.Time{}
	if err != nil {
		m.rests = time.Now().Add(restAfterFailure)
	}
}
