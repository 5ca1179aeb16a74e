package engine

import (
	"sync"
	"time"
)

const (
	// maxGone is how many removed keys a mirror remembers: the newest.
	maxGone = 10_000
	// unheardFor is how long a key counts that this node alone has told of. The
	// bucket tells within milliseconds; if it was cut off just then, it cannot
	// tell later that another node has removed the key.
	unheardFor = 30 * time.Second
)

// A mirror is what a node knows of the keys in the bucket. It hears of a change
// twice, from whoever made it here and from the bucket, in any order, and from
// the bucket perhaps again: of each key the highest revision counts, so that none
// comes back.
//
// It relies on a bucket that lost what it had to say so by a later since before
// it tells of what is in it then, and to tell nothing of before after that. All
// that is mirrored is forgotten then: a key that the store does not have verifies
// nothing.
//
// The zero value is ready.
type mirror struct {
	mu sync.RWMutex
	// Guarded by mu.
	since   time.Time
	entries map[string]mirrored // By key id.
	live    int                 // Those that are not removed.
	making  int                 // Those that are being made, and not here yet.
	removed []string            // Ids that were removed: a ring, from next.
	next    int
	closed  bool
}

// A mirrored is what is known of one id.
type mirrored struct {
	record   keyRecord
	revision uint64
	// told is when this node has told of the key itself; zero once the bucket
	// has. From then on the bucket tells of its removal too.
	told    time.Time
	removed bool
	// awaited is set from when this node has removed the key until the bucket
	// tells of that: only then is the removal's revision known.
	awaited bool
}

// usable reports whether the key may verify something.
func (e mirrored) usable() bool {
	return !e.removed && !e.record.unreadable && (e.told.IsZero() || time.Since(e.told) < unheardFor)
}

// put takes in a record that the bucket tells of. It reports whether that was
// news.
func (m *mirror) put(since time.Time, r keyRecord, revision uint64) bool {
	return m.take(since, mirrored{record: r, revision: revision})
}

// putHere takes in a record that this node has written, or read.
func (m *mirror) putHere(since time.Time, r keyRecord, revision uint64) {
	m.take(since, mirrored{record: r, revision: revision, told: time.Now()})
}

func (m *mirror) take(since time.Time, e mirrored) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.of(since) {
		return false
	}
	id := e.record.key.ID
	old, ok := m.entries[id]
	if ok && !old.removed && (old.told.IsZero() || e.told.IsZero()) {
		e.told, old.told = time.Time{}, time.Time{}
	}
	if ok && (old.awaited || e.revision <= old.revision) {
		m.entries[id] = old
		return false
	}
	if !ok || old.removed {
		m.live++
	}
	m.entries[id] = e
	return true
}

// gone takes in that the bucket tells of a removal. That counts whatever its
// revision is: where the bucket finds after a while that an entry is missing, it
// knows none. An id is not used again, so there is no newer key to keep.
func (m *mirror) gone(since time.Time, id string, revision uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of(since) {
		m.bury(id, mirrored{revision: max(revision, m.entries[id].revision), removed: true})
	}
}

// goneHere takes in that this node has removed an entry that had this revision
// or a later one.
func (m *mirror) goneHere(since time.Time, id string, revision uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.of(since) {
		return
	}
	if old := m.entries[id]; !old.removed || old.revision < revision {
		m.bury(id, mirrored{revision: max(revision, old.revision), removed: true, awaited: true})
	}
}

// missing takes in that the bucket does not have an entry, as this node has
// asked. It remembers nothing of an id that it does not know.
func (m *mirror) missing(since time.Time, id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.of(since) {
		return
	}
	if old, ok := m.entries[id]; ok && !old.removed {
		m.bury(id, mirrored{revision: old.revision, removed: true, awaited: true})
	}
}

// bury replaces an entry by a removed one. The oldest of those is forgotten at
// the bound: it could only come back by a change that was told of that much
// later.
func (m *mirror) bury(id string, e mirrored) {
	old, ok := m.entries[id]
	m.entries[id] = e
	if ok && old.removed {
		return
	}
	if ok {
		m.live--
	}
	if len(m.removed) < maxGone {
		m.removed = append(m.removed, id)
		return
	}
	if oldest := m.removed[m.next]; oldest != id && m.entries[oldest].removed {
		delete(m.entries, oldest)
	}
	m.removed[m.next] = id
	m.next = (m.next + 1) % maxGone
}

// of reports whether what the bucket said at since is to be taken in. It forgets
// everything where the bucket is another one now. mu is held.
func (m *mirror) of(since time.Time) bool {
	if m.closed || since.Before(m.since) {
		return false
	}
	if m.entries == nil || since.After(m.since) {
		m.since, m.entries, m.live, m.removed, m.next = since, make(map[string]mirrored), 0, nil, 0
	}
	return true
}

// find returns the record of id, if there is one that can be read. Its May is
// the mirror's own.
func (m *mirror) find(since time.Time, id string) (keyRecord, bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	e, ok := m.entries[id]
	if !ok || since.After(m.since) || !e.usable() {
		return keyRecord{}, false
	}
	return e.record, true
}

// list returns the keys that can be read, in no order.
func (m *mirror) list(since time.Time) []Key {
	m.mu.RLock()
	defer m.mu.RUnlock()
	list := make([]Key, 0, m.live)
	if since.After(m.since) {
		return list
	}
	for _, e := range m.entries {
		if e.usable() {
			list = append(list, e.record.key.clone())
		}
	}
	return list
}

// known reports whether there is an entry of id, or was one.
func (m *mirror) known(id string) bool {
	m.mu.RLock()
	defer m.mu.RUnlock()
	_, ok := m.entries[id]
	return ok
}

// reserve makes room for one more key, or reports that there is none. Whoever
// has reserved calls release when the key is here, or will not be.
func (m *mirror) reserve(since time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.of(since)
	if m.live+m.making >= MaxKeys {
		return false
	}
	m.making++
	return true
}

func (m *mirror) release() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.making--
}

// close forgets everything, and takes in nothing more.
func (m *mirror) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed, m.entries, m.removed, m.live = true, nil, nil, 0
}
