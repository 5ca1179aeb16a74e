package usher

import "testing"

func TestFramesFuzzSeed(t *testing.T) {
	var f frames
	f.follow([]byte{0x81, 0x02, 'h', 'i', 0x88, 0x80, 1, 2, 3, 4})
	if !f.boundary() || !f.closed {
		t.Errorf("got %+v", f)
	}
}
