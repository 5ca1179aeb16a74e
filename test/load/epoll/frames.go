//go:build linux

package epoll

// Frames are what a connection is to send, one behind the other, so that those
// that may go at one time are one piece. The zero value has none.
type Frames struct {
	bytes []byte
	ends  []int // Of each.
}

// Add appends a frame.
func (f *Frames) Add(frame []byte) {
	f.bytes = append(f.bytes, frame...)
	f.ends = append(f.ends, len(f.bytes))
}

// Len is how many there are.
func (f *Frames) Len() int { return len(f.ends) }

// some are n frames from the one with this index on.
func (f *Frames) some(from, n int) []byte {
	begin := 0
	if from > 0 {
		begin = f.ends[from-1]
	}
	end := f.ends[from+n-1]
	return f.bytes[begin:end:end]
}
