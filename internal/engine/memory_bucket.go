package engine

import (
	"bytes"
	"container/heap"
	"context"
	"maps"
	"slices"
	"sync"
	"time"
)

// A memoryBucket is a bucket in this process's memory.
type memoryBucket struct {
	// Immutable.
	made     time.Time
	maxBytes int64

	mu sync.Mutex
	// Guarded by mu.
	entries  map[string]memoryEntry
	ends     endQueue
	timer    *time.Timer // Of the entry that ends first. Nil: not started.
	bytes    int64
	revision uint64
	watchers map[*memoryWatcher]func() // With what stops them.
}

type memoryEntry struct {
	entry
	// end is when its time is over, since the bucket was made; 0: never. By the
	// monotonic clock: it does not jump.
	end time.Duration
}

func newMemoryBucket(maxBytes int64) *memoryBucket {
	return &memoryBucket{
		made: time.Now(), maxBytes: maxBytes,
		entries: make(map[string]memoryEntry), watchers: make(map[*memoryWatcher]func()),
	}
}

func (b *memoryBucket) since() time.Time { return b.made }

func (b *memoryBucket) create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if _, ok := b.entries[key]; ok {
		return 0, errExists
	}
	return b.put(key, value, ttl)
}

// put stores an entry in place of the one that there is.
func (b *memoryBucket) put(key string, value []byte, ttl time.Duration) (uint64, error) {
	if len(value) > maxValue {
		return 0, errTooLong
	}
	e := memoryEntry{entry: entry{key: key, value: bytes.Clone(value)}}
	if ttl > 0 {
		e.end = time.Since(b.made) + min(ttl, maxTTL)
	}
	old, ok := b.entries[e.key]
	grows := e.size()
	if ok {
		grows -= old.size()
	}
	if b.bytes+grows > b.maxBytes {
		return 0, errMemoryFull
	}
	b.bytes += grows
	b.revision++
	e.revision = b.revision
	b.entries[e.key] = e
	if e.end > 0 {
		heap.Push(&b.ends, endsAt{e.end, e.key})
		b.tidy()
		b.wake()
	}
	b.tell(e.entry)
	return e.revision, nil
}

// size is about what an entry takes.
func (e *memoryEntry) size() int64 { return int64(len(e.key) + len(e.value) + 256) }

func (b *memoryBucket) get(ctx context.Context, key string) (entry, error) {
	if err := ctx.Err(); err != nil {
		return entry{}, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	e, ok := b.entries[key]
	if !ok {
		return entry{}, errNotFound
	}
	e.value = bytes.Clone(e.value)
	return e.entry, nil
}

func (b *memoryBucket) update(ctx context.Context, key string, value []byte, revision uint64, ttl time.Duration) (uint64, error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if e, ok := b.entries[key]; !ok || e.revision != revision {
		return 0, errConflict
	}
	return b.put(key, value, ttl)
}

func (b *memoryBucket) remove(ctx context.Context, key string, revision uint64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.expire()
	if revision > 0 && b.entries[key].revision != revision {
		return errConflict
	}
	b.drop(key)
	return nil
}

// drop removes an entry, if there is one.
func (b *memoryBucket) drop(key string) {
	e, ok := b.entries[key]
	if !ok {
		return
	}
	delete(b.entries, key)
	b.bytes -= e.size()
	b.revision++
	b.tell(entry{key: key, revision: b.revision, removed: true})
}

// expire removes what has ended. An end whose entry was replaced is passed over.
func (b *memoryBucket) expire() {
	now := time.Since(b.made)
	for len(b.ends) > 0 && b.ends[0].at <= now {
		end := heap.Pop(&b.ends).(endsAt)
		if e, ok := b.entries[end.key]; ok && e.end == end.at {
			b.drop(end.key)
		}
	}
}

// tidy forgets the ends of entries that were replaced, once they are more than
// the others: one that is updated again and again would collect them.
func (b *memoryBucket) tidy() {
	if len(b.ends) <= 2*len(b.entries)+64 {
		return
	}
	b.ends = slices.DeleteFunc(b.ends, func(end endsAt) bool {
		e, ok := b.entries[end.key]
		return !ok || e.end != end.at
	})
	heap.Init(&b.ends)
}

// wake has expire called when the first entry ends.
func (b *memoryBucket) wake() {
	if len(b.ends) == 0 {
		return
	}
	wait := b.ends[0].at - time.Since(b.made)
	if b.timer == nil {
		b.timer = time.AfterFunc(wait, func() {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.expire()
			b.wake()
		})
		return
	}
	b.timer.Reset(wait)
}

func (b *memoryBucket) close() {
	b.mu.Lock()
	b.ends = nil
	if b.timer != nil {
		b.timer.Stop()
	}
	left := slices.Collect(maps.Values(b.watchers))
	b.mu.Unlock()
	for _, stop := range left {
		stop()
	}
}

func (b *memoryBucket) tell(e entry) {
	for w := range b.watchers {
		w.add(e)
	}
}

func (b *memoryBucket) watch(ctx context.Context, f func(entry)) (stop func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	w := &memoryWatcher{more: make(chan struct{}, 1), news: make(map[string]entry)}
	b.mu.Lock()
	b.expire()
	var first []entry
	for _, e := range b.entries {
		first = append(first, e.entry)
	}
	end, done := make(chan struct{}), make(chan struct{})
	stop = sync.OnceFunc(func() {
		b.mu.Lock()
		delete(b.watchers, w)
		b.mu.Unlock()
		close(end)
		<-done
	})
	b.watchers[w] = stop
	b.mu.Unlock()
	slices.SortFunc(first, func(x, y entry) int { return int(int64(x.revision - y.revision)) })
	for _, e := range first {
		e.value = bytes.Clone(e.value)
		f(e)
	}
	go func() {
		defer close(done)
		w.run(end, f)
	}()
	return stop, nil
}

// A memoryWatcher holds what its function was not told yet: of each key the
// newest, so that one which takes long costs no more than the bucket.
type memoryWatcher struct {
	more chan struct{} // Holds one.

	mu sync.Mutex
	// Guarded by mu.
	order []string // Keys in news.
	news  map[string]entry
}

func (w *memoryWatcher) add(e entry) {
	w.mu.Lock()
	if _, ok := w.news[e.key]; !ok {
		w.order = append(w.order, e.key)
	}
	w.news[e.key] = e
	w.mu.Unlock()
	select {
	case w.more <- struct{}{}:
	default:
	}
}

func (w *memoryWatcher) next() (entry, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.order) == 0 {
		w.order = nil
		return entry{}, false
	}
	e := w.news[w.order[0]]
	delete(w.news, w.order[0])
	w.order = w.order[1:]
	e.value = bytes.Clone(e.value)
	return e, true
}

func (w *memoryWatcher) run(end <-chan struct{}, f func(entry)) {
	for {
		select {
		case <-end:
			return
		case <-w.more:
		}
		for e, ok := w.next(); ok; e, ok = w.next() {
			select {
			case <-end:
				return
			default:
				f(e)
			}
		}
	}
}

// An endQueue is a heap of when entries end, the first in front.
type endQueue []endsAt

type endsAt struct {
	at  time.Duration
	key string
}

func (q endQueue) Len() int           { return len(q) }
func (q endQueue) Less(i, j int) bool { return q[i].at < q[j].at }
func (q endQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }

// Push is for package heap.
func (q *endQueue) Push(e any) { *q = append(*q, e.(endsAt)) }

// Pop is for package heap.
func (q *endQueue) Pop() any {
	last := (*q)[len(*q)-1]
	*q = (*q)[:len(*q)-1]
	return last
}
