package demo

import (
	"slices"
	"sync"
)

// maxEnding bounds, for each route, the sockets that have gone and whose record
// has not come; the oldest is forgotten.
const maxEnding = 32

// Tries know which of the page's marks a log record is about. The gateway knows
// nothing of these marks, so it is told from what runs on the record's route.
// That is a guess where one route has several handshakes at one time, as with
// two visitors.
type tries struct {
	mu sync.Mutex
	// Guarded by mu.
	byRoute map[string][]*running // Oldest first.
}

// Running is a request on its way, or a socket.
type running struct {
	try      string
	upgrade  bool
	admitted bool // The record that says so has come; one that it ended is to come.
	left     bool
}

// enter notes a request until leave is called.
func (t *tries) enter(route, try string, upgrade bool) (leave func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.byRoute == nil {
		t.byRoute = make(map[string][]*running)
	}
	r := &running{try: try, upgrade: upgrade}
	t.byRoute[route] = append(t.byRoute[route], r)
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		r.left = true
		t.tidy(route)
	}
}

// tidy forgets what no record will be about. It is called with mu held.
func (t *tries) tidy(route string) {
	gone := 0
	list := slices.DeleteFunc(t.byRoute[route], func(r *running) bool { return r.left && (!r.admitted || !r.upgrade) })
	for _, r := range list {
		if r.left {
			gone++
		}
	}
	list = slices.DeleteFunc(list, func(r *running) bool {
		if !r.left || gone <= maxEnding {
			return false
		}
		gone--
		return true
	})
	if t.byRoute[route] = list; len(list) == 0 {
		delete(t.byRoute, route)
	}
}

// of returns the mark that a record about route is about, or "".
func (t *tries) of(route, record string) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.byRoute[route]
	switch record {
	case "admitted":
		for _, r := range slices.Backward(list) {
			if !r.left && !r.admitted {
				r.admitted = true
				return r.try
			}
		}
	case "ended":
		for _, left := range []bool{true, false} {
			for _, r := range list {
				if r.admitted && r.upgrade && r.left == left {
					r.admitted = false
					t.tidy(route)
					return r.try
				}
			}
		}
	default:
		for _, r := range slices.Backward(list) {
			if !r.left {
				return r.try
			}
		}
	}
	return ""
}
