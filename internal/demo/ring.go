package demo

import (
	"sync"
	"time"
)

// ringSize is how many events are kept; older ones are forgotten.
const ringSize = 200

// An event is one thing that happened, for one of the page's panes. None of
// its texts may have a credential in it.
type event struct {
	Seq  uint64    `json:"seq"`
	Time time.Time `json:"time"`
	// Try is the page's own mark for what it started, so that the panes can
	// tell what belongs together; empty for what is nobody's.
	Try string `json:"try,omitempty"`
	// Kind is "request", "message", "answer", "left", "closed" (what went over
	// the wire, the last two the Close frame of browser and server), "backend"
	// (what a backend was told) or "log" (what the operator sees).
	Kind string `json:"kind"`
	// Line is a request or status line, a message's text, or a log message.
	Line   string  `json:"line"`
	Level  string  `json:"level,omitempty"`
	Fields []field `json:"fields,omitempty"`
	// Backend is the name of the backend, JWTHeader and Claims what is in the
	// identity that it was given.
	Backend   string  `json:"backend,omitempty"`
	JWTHeader []field `json:"jwt_header,omitempty"`
	Claims    []field `json:"claims,omitempty"`
}

// A field is a header, or an attribute of a log record.
type field struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// A ring keeps the newest events. Readers ask for what is new and wait for the
// channel; none has a queue of its own, so a slow one costs nothing and loses
// what was overwritten.
type ring struct {
	mu sync.Mutex
	// Guarded by mu.
	events  []event // Sorted by Seq.
	last    uint64
	changed chan struct{} // Closed at the next add.
}

func newRing() *ring { return &ring{changed: make(chan struct{})} }

// add numbers and dates e and keeps it.
func (r *ring) add(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last++
	e.Seq, e.Time = r.last, time.Now()
	if len(r.events) == ringSize {
		copy(r.events, r.events[1:])
		r.events = r.events[:ringSize-1]
	}
	r.events = append(r.events, e)
	close(r.changed)
	r.changed = make(chan struct{})
}

// since returns the events after seq, and a channel that is closed when there
// are more.
func (r *ring) since(seq uint64) ([]event, <-chan struct{}) {
	r.mu.Lock()
	defer r.mu.Unlock()
	first := 0
	for first < len(r.events) && r.events[first].Seq <= seq {
		first++
	}
	return append([]event(nil), r.events[first:]...), r.changed
}
