package usher

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// TestFramesFollow drives the follower with random frames in random pieces: it
// is at a boundary exactly where a frame ends.
func TestFramesFollow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var stream []byte
		ends := map[int]bool{0: true}
		for range rapid.IntRange(1, 8).Draw(t, "frames") {
			stream = append(stream, drawFrame(t)...)
			ends[len(stream)] = true
		}
		var f frames
		for at := 0; at < len(stream); {
			piece := rapid.IntRange(1, len(stream)-at).Draw(t, "piece")
			f.follow(stream[at : at+piece])
			at += piece
			if got, want := f.boundary(), ends[at]; got != want {
				t.Fatalf("got boundary %v after %d bytes, want %v", got, at, want)
			}
		}
		if f.lost || f.closed {
			t.Errorf("got lost %v, closed %v after data frames, want neither", f.lost, f.closed)
		}
	})
}

// drawFrame draws a data frame of any of the three forms of length.
func drawFrame(t *rapid.T) []byte {
	size := rapid.OneOf(rapid.IntRange(0, 130), rapid.IntRange(65_500, 65_600)).Draw(t, "size")
	frame := ws.NewFrame(ws.OpBinary, rapid.Bool().Draw(t, "fin"), make([]byte, size))
	if rapid.Bool().Draw(t, "masked") {
		frame = ws.MaskFrameWith(frame, [4]byte{0x88, 0xff, 0x7f, 0xfe})
	}
	var b bytes.Buffer
	if err := ws.WriteFrame(&b, frame); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestFramesAdvance stops at the end of each frame, however the bytes come.
func TestFramesAdvance(t *testing.T) {
	var f frames
	stream := []byte{0x81, 2, 'h', 'i', 0x89, 0, 0x82, 0xfe, 0, 3, 1, 2, 3, 4, 'a', 'b', 'c', 0x81}
	for _, want := range []int{4, 2, 11, 1} {
		if got := f.advance(stream); got != want {
			t.Fatalf("got %d bytes of %x, want %d", got, stream, want)
		}
		stream = stream[want:]
	}
	if f.boundary() {
		t.Error("got a boundary inside of a head")
	}
}

// TestFramesLongHead has a length of eight bytes where two would do, which is
// against RFC 6455 §5.2 and must not confuse the follower.
func TestFramesLongHead(t *testing.T) {
	var f frames
	f.follow([]byte{0x82, 127, 0, 0, 0, 0, 0, 0, 0, 1})
	if f.boundary() {
		t.Error("got a boundary before the payload")
	}
	f.follow([]byte{'x'})
	if !f.boundary() {
		t.Error("got no boundary after the payload")
	}
}

func TestFramesClosed(t *testing.T) {
	tests := []struct {
		name   string
		stream []byte
		want   bool
	}{
		{"empty close", []byte{0x88, 0}, true},
		{"masked close", []byte{0x88, 0x82, 1, 2, 3, 4, 0, 0}, true},
		{"close after text", []byte{0x81, 1, 'x', 0x88, 0}, true},
		{"half a close", []byte{0x88, 2, 0x03}, false},
		{"close without its mask", []byte{0x88, 0x80, 1, 2, 3}, false},
		{"close inside of a payload", []byte{0x82, 2, 0x88, 0}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var f frames
			f.follow(tt.stream)
			if f.closed != tt.want {
				t.Errorf("got closed %v, want %v", f.closed, tt.want)
			}
		})
	}
}

// TestFramesBetween tells where a frame may be put in: a control frame at
// every boundary, a message not between the fragments of another (RFC 6455
// §5.4).
func TestFramesBetween(t *testing.T) {
	var f frames
	steps := []struct {
		name  string
		bytes []byte
		want  bool
	}{
		{"nothing yet", nil, true},
		{"first fragment", []byte{0x01, 1, 'a'}, false},
		{"ping among fragments", []byte{0x89, 0}, false},
		{"middle fragment", []byte{0x00, 1, 'b'}, false},
		{"last fragment", []byte{0x80, 1, 'c'}, true},
		{"whole message", []byte{0x81, 1, 'd'}, true},
		{"half a frame", []byte{0x81}, false},
		{"its end", []byte{0}, true},
		{"pong", []byte{0x8a, 0}, true},
		{"close", []byte{0x88, 0}, false},
	}
	for _, s := range steps {
		f.follow(s.bytes)
		if got := f.between(); got != s.want {
			t.Fatalf("%s: got between messages %v, want %v", s.name, got, s.want)
		}
	}
}

// TestFramesLost never finds a boundary again once a length has its most
// significant bit set.
func TestFramesLost(t *testing.T) {
	var f frames
	f.follow([]byte{0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0})
	f.follow([]byte{0x81, 0, 0x88, 0})
	if !f.lost || f.boundary() || f.closed {
		t.Errorf("got lost %v, boundary %v, closed %v", f.lost, f.boundary(), f.closed)
	}
}

func TestCloseFrame(t *testing.T) {
	frame, err := ws.ReadFrame(bytes.NewReader(closeFrame(4401, string(bytes.Repeat([]byte{'x'}, 200)))))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(frame.Payload); n != 125 {
		t.Errorf("got a payload of %d bytes, want 125: RFC 6455 §5.5", n)
	}
	if err := ws.CheckHeader(frame.Header, ws.StateClientSide); err != nil {
		t.Error(err)
	}
	if code := binary.BigEndian.Uint16(frame.Payload); code != 4401 {
		t.Errorf("got code %d, want 4401", code)
	}
}

// FuzzFrames feeds any bytes, whole and one by one: both must come to the same,
// without a panic and with progress at each step.
func FuzzFrames(f *testing.F) {
	f.Add([]byte{0x81, 0x02, 'h', 'i', 0x88, 0x80, 1, 2, 3, 4})
	f.Add([]byte{0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Add([]byte{0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4, 5})
	f.Add([]byte{0x01, 126, 0, 1, 'x', 0x80, 0})
	f.Fuzz(func(t *testing.T, stream []byte) {
		var whole, bytewise frames
		for rest := stream; len(rest) > 0; {
			n := whole.advance(rest)
			if n < 1 || n > len(rest) {
				t.Fatalf("got %d of %d bytes taken", n, len(rest))
			}
			rest = rest[n:]
		}
		for i := range stream {
			bytewise.follow(stream[i : i+1])
		}
		if whole != bytewise {
			t.Errorf("got %+v for the whole and %+v byte by byte", whole, bytewise)
		}
	})
}
