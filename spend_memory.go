package usher

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	defaultSpentMax = 1 << 20

	// spentDrops is how many entries one call drops at most: more than it
	// adds, so that memory is given back, and few, so that no call has to
	// clear up after all the others.
	spentDrops = 8

	// spentForever bounds how far ahead an entry is kept, so that no sum of
	// durations overflows: 146 years.
	spentForever = time.Duration(1 << 62)
)

// A MemorySpender is a [Spender] for one process. The zero value is ready. It
// must not be copied after first use. It starts no goroutine: each call drops
// some of the entries whose time has passed.
type MemorySpender struct {
	// Max is how many ids are remembered at once. At the bound Spend refuses
	// with ErrUnavailable; no entry is dropped before its time. An entry takes
	// about 75 bytes. Default, also of a negative one: 1,048,576, which is
	// 11,000 tickets of 30 s spent each second.
	Max int

	mu sync.Mutex
	// Guarded by mu.
	since time.Time // Of the first use.
	spent map[[16]byte]struct{}
	queue spentQueue
}

// Since returns when the spender was first used: what was spent before, by
// another one, it does not know. After a clock that ran ahead is set back,
// tickets seem older than the spender until the clock has caught up, and are
// refused.
func (m *MemorySpender) Since() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start()
	return m.since
}

func (m *MemorySpender) start() {
	if m.since.IsZero() {
		m.since = time.Now()
		m.spent = make(map[[16]byte]struct{})
	}
}

// Spend implements [Spender]. An until that has passed is an error.
func (m *MemorySpender) Spend(ctx context.Context, id [16]byte, until time.Time) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("spend: %w", err)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.start()
	now := time.Now()
	m.drop(now.UnixMicro(), now.Sub(m.since))
	if _, ok := m.spent[id]; ok {
		return ErrSpent
	}
	left := until.Round(0).Sub(now.Round(0))
	if left <= 0 {
		return errors.New("spend: the time to remember it until has passed")
	}
	if bound := cmp.Or(max(m.Max, 0), defaultSpentMax); len(m.spent) >= bound {
		return fmt.Errorf("%w: %d spent ids are remembered, which is the bound", ErrUnavailable, bound)
	}
	m.spent[id] = struct{}{}
	m.queue.push(spentEntry{
		id:    id,
		until: until.UnixMicro(),
		after: now.Sub(m.since) + min(left, spentForever),
	})
	return nil
}

// drop forgets entries whose time has passed by the wall clock, which is what
// tickets expire by, and by the monotonic one too: a wall clock that is set
// ahead and back again would revive tickets that were forgotten.
func (m *MemorySpender) drop(wall int64, elapsed time.Duration) {
	for range spentDrops {
		if len(m.queue) == 0 || wall <= m.queue[0].until || elapsed <= m.queue[0].after {
			return
		}
		delete(m.spent, m.queue[0].id)
		m.queue.pop()
	}
}

type spentEntry struct {
	id    [16]byte
	until int64         // By the wall clock, in microseconds since 1970.
	after time.Duration // By the monotonic clock, since the spender's first use.
}

// A spentQueue is a binary heap, the entry with the lowest until in front.
// Entries come nearly in that order, so that a push moves few.
type spentQueue []spentEntry

func (q *spentQueue) push(e spentEntry) {
	h := append(*q, e)
	*q = h
	for i := len(h) - 1; i > 0; {
		parent := (i - 1) / 2
		if h[parent].until <= h[i].until {
			return
		}
		h[parent], h[i] = h[i], h[parent]
		i = parent
	}
}

func (q *spentQueue) pop() {
	h := *q
	last := len(h) - 1
	h[0] = h[last]
	h = h[:last]
	*q = h
	for i := 0; ; {
		child := 2*i + 1
		if child >= last {
			return
		}
		if child+1 < last && h[child+1].until < h[child].until {
			child++
		}
		if h[i].until <= h[child].until {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
