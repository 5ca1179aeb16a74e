package hub

import (
	"context"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// MemoryLog is a Log of one process, until that ends. The zero value is ready
// for use.
type MemoryLog struct {
	// Brief and Kept are how long entries are there: of channels whose Name says
	// Kept, and of others. Default: 2 minutes and 24 hours.
	Brief, Kept time.Duration
	// MaxBytes is how much it holds at most: beyond it a channel's oldest entries
	// make room for its newest, and those of one that has much for others'.
	// Default: 256 MiB.
	MaxBytes int64

	longer atomic.Int64 // Kept, if more than that: see Keep.
	once   sync.Once
	seed   maphash.Seed
	shards [memoryShards]memoryShard
}

const (
	memoryShards = 16
	// repeatFor is how long an entry is known by its Key.
	repeatFor = 2 * time.Minute
	// maxRepeats bounds how many keys of one channel are known: at more, the
	// oldest is forgotten early.
	maxRepeats = 1 << 20
	// memorySweep is how often a channel in memory is looked at for what is over.
	memorySweep = 10 * time.Second
)

var _ Log = (*MemoryLog)(nil)

// Keep has entries of channels whose Name says Kept be there for d at least, from
// now on, whatever Kept says.
func (m *MemoryLog) Keep(d time.Duration) {
	for {
		now := m.longer.Load()
		if int64(d) <= now || m.longer.CompareAndSwap(now, int64(d)) {
			return
		}
	}
}

// A memoryShard has some of the channels. Order is kept within it.
type memoryShard struct {
	mu sync.Mutex
	// Guarded by mu.
	begun    Position // Before it nothing was here.
	last     Position
	bytes    int64
	swept    time.Time
	channels map[Name]*memoryChannel
}

// A memoryChannel is the log of one channel. Its shard's lock guards it.
type memoryChannel struct {
	after     Position // All entries after it are here.
	bytes     int64
	entries   []*Entry
	keys      map[Key]Position
	order     []repeat // Of keys, the oldest first.
	followers []*follower
}

// A repeat is a key that is known, and since when, in milliseconds.
type repeat struct {
	key  Key
	time int64
}

// size is what a key costs in memory, roughly.
func (r repeat) size() int64 { return int64(len(r.key.ID)) + 96 }

type follower struct{ f func(*Entry) }

func (m *MemoryLog) shard(n Name) *memoryShard {
	m.once.Do(func() {
		m.seed = maphash.MakeSeed()
		if m.Brief <= 0 {
			m.Brief = 2 * time.Minute
		}
		if m.Kept <= 0 {
			m.Kept = 24 * time.Hour
		}
		if m.MaxBytes <= 0 {
			m.MaxBytes = 256 << 20
		}
		for i := range m.shards {
			s := &m.shards[i]
			s.begun = Position(time.Now().UnixMicro())
			s.last = s.begun
			s.swept = time.Now()
			s.channels = make(map[Name]*memoryChannel)
		}
	})
	return &m.shards[maphash.String(m.seed, n.Channel)%memoryShards]
}

// channel returns the channel, and makes it. Callers hold mu.
func (s *memoryShard) channel(n Name) *memoryChannel {
	c := s.channels[n]
	if c == nil {
		c = &memoryChannel{after: s.begun, keys: make(map[Key]Position)}
		s.channels[n] = c
	}
	return c
}

// Append implements [Log].
func (m *MemoryLog) Append(e *Entry, then func(Position, error)) {
	s := m.shard(e.Name)
	at, err := m.append(s, e)
	then(at, err)
}

func (m *MemoryLog) append(s *memoryShard, e *Entry) (Position, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	m.sweep(s, now)
	c := s.channel(e.Name)
	key := e.Key()
	if at, ok := c.keys[key]; ok {
		return at, nil
	}
	size := int64(e.size())
	known := repeat{key, now.UnixMilli()}
	room := m.MaxBytes / memoryShards
	if size+known.size() > room {
		return 0, ErrFull
	}
	for s.bytes+size+known.size() > room {
		if c.bytes > 0 && c.bytes >= s.bytes/int64(len(s.channels)) {
			s.yield(c)
		} else { // Who publishes much to some must not have others refused.
			s.yield(s.largest())
		}
	}
	s.last = max(s.last+1, Position(now.UnixMicro()))
	e.Stamp(s.last, known.time)
	s.count(c, size+known.size())
	c.entries = append(c.entries, e)
	c.keys[key] = e.Position
	c.order = append(c.order, known)
	if len(c.order) > maxRepeats {
		s.forget(c, 1)
	}
	for _, f := range c.followers {
		f.f(e)
	}
	return e.Position, nil
}

// count notes n bytes more of a channel. Callers hold mu.
func (s *memoryShard) count(c *memoryChannel, n int64) {
	s.bytes += n
	c.bytes += n
}

// yield has a channel that holds something hold less. Callers hold mu.
func (s *memoryShard) yield(c *memoryChannel) {
	if len(c.order) > 4*len(c.entries) { // Else keys would leave no room for entries.
		s.forget(c, 1)
	} else {
		s.drop(c, 1)
	}
}

// largest is the channel that holds the most. Callers hold mu.
func (s *memoryShard) largest() (most *memoryChannel) {
	for _, c := range s.channels {
		if most == nil || c.bytes > most.bytes {
			most = c
		}
	}
	return most
}

// drop forgets the n oldest entries. Callers hold mu.
func (s *memoryShard) drop(c *memoryChannel, n int) {
	for _, e := range c.entries[:n] {
		s.count(c, -int64(e.size()))
		c.after = e.Position
	}
	clear(c.entries[:n])
	c.entries = c.entries[n:]
}

// forget forgets the n oldest keys. Callers hold mu.
func (s *memoryShard) forget(c *memoryChannel, n int) {
	for _, r := range c.order[:n] {
		s.count(c, -r.size())
		delete(c.keys, r.key)
	}
	clear(c.order[:n])
	c.order = c.order[n:]
}

// sweep forgets what is over, every memorySweep. Callers hold mu.
func (m *MemoryLog) sweep(s *memoryShard, now time.Time) {
	if now.Sub(s.swept) < memorySweep {
		return
	}
	s.swept = now
	known := now.Add(-repeatFor).UnixMilli()
	for n, c := range s.channels {
		keep := m.Brief
		if n.Kept {
			keep = max(m.Kept, time.Duration(m.longer.Load()))
		}
		s.drop(c, firstAfter(c.entries, now.Add(-keep).UnixMilli(), func(e *Entry) int64 { return e.Time }))
		s.forget(c, firstAfter(c.order, known, func(r repeat) int64 { return r.time }))
		if len(c.entries) == 0 && len(c.order) == 0 && len(c.followers) == 0 {
			delete(s.channels, n)
			s.begun = max(s.begun, c.after)
		}
	}
}

// firstAfter is the index of the first of a time or later.
func firstAfter[T any](list []T, ms int64, at func(T) int64) int {
	i, _ := slices.BinarySearchFunc(list, ms, func(one T, ms int64) int {
		if at(one) < ms {
			return -1
		}
		return 1
	})
	return i
}

// Follow implements [Log].
func (m *MemoryLog) Follow(_ context.Context, n Name, f func(*Entry), _ func()) (from Position, stop func(), err error) {
	s := m.shard(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	c, fw := s.channel(n), &follower{f}
	c.followers = append(c.followers, fw)
	s.last = max(s.last, Position(time.Now().UnixMicro())) // A place of its own.
	return s.last, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		c.followers = slices.DeleteFunc(c.followers, func(o *follower) bool { return o == fw })
	}, nil
}

// Read implements [Log].
func (m *MemoryLog) Read(_ context.Context, n Name, r Range) ([]*Entry, error) {
	s := m.shard(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.sweep(s, time.Now())
	c := s.channels[n]
	if c == nil {
		return nil, nil
	}
	from := countUpTo(c.entries, r.After)
	to := len(c.entries)
	if r.To != 0 {
		to = max(countUpTo(c.entries, r.To), from)
	}
	if !r.Backwards {
		return slices.Clone(c.entries[from:min(to, from+r.Limit)]), nil
	}
	list := slices.Clone(c.entries[max(from, to-r.Limit):to])
	slices.Reverse(list)
	return list, nil
}

// countUpTo is how many entries there are up to a position.
func countUpTo(list []*Entry, p Position) int {
	i, _ := slices.BinarySearchFunc(list, p, func(e *Entry, p Position) int {
		if e.Position <= p {
			return -1
		}
		return 1
	})
	return i
}

// Bounds implements [Log].
func (m *MemoryLog) Bounds(_ context.Context, n Name) (after, last Position, err error) {
	s := m.shard(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.sweep(s, time.Now())
	if c := s.channels[n]; c != nil {
		return c.after, s.last, nil
	}
	return s.begun, s.last, nil
}
