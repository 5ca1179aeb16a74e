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
	swept    int64 // When, in milliseconds since 1970.
	channels map[Name]*memoryChannel
}

// A memoryChannel is the log of one channel. Its shard's lock guards it.
type memoryChannel struct {
	shard     *memoryShard // Immutable.
	gone      bool         // It is not among its shard's any more.
	after     Position     // All entries after it are here.
	bytes     int64
	entries   queue[*Entry]
	known     repeats
	followers []*follower
}

type follower struct{ f func(*Entry) }

// A memoryPlace is where a MemoryLog has a channel, for who appends to it often.
type memoryPlace struct {
	log     *MemoryLog
	channel *memoryChannel
}

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
			s.swept = time.Now().UnixMilli()
			s.channels = make(map[Name]*memoryChannel)
		}
	})
	return &m.shards[maphash.String(m.seed, n.Channel)%memoryShards]
}

// channel returns the channel, and makes it. Callers hold mu.
func (s *memoryShard) channel(n Name) *memoryChannel {
	c := s.channels[n]
	if c == nil {
		c = &memoryChannel{shard: s, after: s.begun}
		s.channels[n] = c
	}
	return c
}

// Append implements [Log].
func (m *MemoryLog) Append(e *Entry, then func(Position, error)) {
	at, err := m.append(e)
	then(at, err)
}

// locked returns the channel of an entry, with its shard's mu locked.
func (m *MemoryLog) locked(e *Entry) (*memoryShard, *memoryChannel) {
	memo := e.memo // Who has it again later need not know the way back.
	e.memo = nil
	if memo != nil {
		if at := memo.Load(); at != nil && at.log == m {
			s := at.channel.shard
			s.mu.Lock()
			if !at.channel.gone {
				return s, at.channel
			}
			s.mu.Unlock()
		}
	}
	s := m.shard(*e.Name)
	s.mu.Lock()
	c := s.channel(*e.Name)
	if memo != nil {
		memo.Store(&memoryPlace{m, c})
	}
	return s, c
}

func (m *MemoryLog) append(e *Entry) (Position, error) {
	s, c := m.locked(e)
	defer s.mu.Unlock()
	now := e.Time
	if now == 0 {
		now = time.Now().UnixMilli()
	}
	m.sweep(s, now)
	number := e.number()
	if at, again := c.known.find(e, number); again {
		return at, nil
	}
	size := int64(e.size())
	room := m.MaxBytes / memoryShards
	for {
		more := size + c.known.cost(e, number)
		if more > room {
			return 0, ErrFull
		}
		if s.bytes+more <= room {
			break
		}
		if c.bytes > 0 && c.bytes >= s.bytes/int64(len(s.channels)) {
			s.yield(c)
		} else { // Who publishes much to some must not have others refused.
			s.yield(s.largest())
		}
	}
	s.last = max(s.last+1, Position(now)*1000)
	e.Stamp(s.last, now)
	s.count(c, size)
	c.entries.push(e)
	before := c.known.bytes
	c.known.add(e, number)
	s.count(c, c.known.bytes-before)
	if c.known.n > maxRepeats {
		s.forget(c)
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
	if c.known.n > 4*c.entries.len() { // Else keys would leave no room for entries.
		s.forget(c)
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
	for range n {
		e := c.entries.at(0)
		s.count(c, -int64(e.size()))
		c.after = e.Position
		c.entries.drop()
	}
}

// forget forgets the oldest key. Callers hold mu.
func (s *memoryShard) forget(c *memoryChannel) {
	before := c.known.bytes
	c.known.forget()
	s.count(c, c.known.bytes-before)
}

// sweep forgets what is over, every memorySweep. now is in milliseconds since 1970.
// Callers hold mu.
func (m *MemoryLog) sweep(s *memoryShard, now int64) {
	if now-s.swept < memorySweep.Milliseconds() {
		return
	}
	s.swept = now
	since := Position(now-repeatFor.Milliseconds()) * 1000
	for n, c := range s.channels {
		keep := m.Brief
		if n.Kept {
			keep = max(m.Kept, time.Duration(m.longer.Load()))
		}
		before := now - keep.Milliseconds()
		s.drop(c, c.entries.count(func(e *Entry) bool { return e.Time < before }))
		for c.known.n > 0 && c.known.oldest() < since {
			s.forget(c)
		}
		if c.entries.len() == 0 && c.known.n == 0 && len(c.followers) == 0 {
			delete(s.channels, n)
			c.gone = true
			s.begun = max(s.begun, c.after)
		}
	}
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
	m.sweep(s, time.Now().UnixMilli())
	c := s.channels[n]
	if c == nil {
		return nil, nil
	}
	from, to := c.upTo(r.After), c.entries.len()
	if r.To != 0 {
		to = max(c.upTo(r.To), from)
	}
	var list []*Entry
	if r.Backwards {
		for i := to - 1; i >= max(from, to-r.Limit); i-- {
			list = append(list, c.entries.at(i))
		}
		return list, nil
	}
	for i := from; i < min(to, from+r.Limit); i++ {
		list = append(list, c.entries.at(i))
	}
	return list, nil
}

// upTo is how many entries there are up to a position.
func (c *memoryChannel) upTo(p Position) int {
	return c.entries.count(func(e *Entry) bool { return e.Position <= p })
}

// Bounds implements [Log].
func (m *MemoryLog) Bounds(_ context.Context, n Name) (after, last Position, err error) {
	s := m.shard(n)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.sweep(s, time.Now().UnixMilli())
	if c := s.channels[n]; c != nil {
		return c.after, s.last, nil
	}
	return s.begun, s.last, nil
}
