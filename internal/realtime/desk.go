package realtime

import "github.com/usher-ws/usher/internal/hub"

// A desk is what one writes at: what is written to a client at once, and room for
// what that is made of, which would be much for the stack of a goroutine that has
// just begun.
type desk struct {
	paper   []byte
	ready   []*channel // Whose turn it is. It is the outbox's.
	entries [takeEntries]*hub.Entry
}

// clear has the desk keep no more than some paper, which is blank.
func (d *desk) clear() {
	if d.paper = d.paper[:0]; cap(d.paper) > 4*writeSize {
		d.paper = nil
	}
	d.ready = nil
}
