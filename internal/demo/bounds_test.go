package demo

import (
	"net/http"
	"strings"
	"testing"

	"github.com/gobwas/ws"
)

func TestRingForgetsTheOldest(t *testing.T) {
	t.Parallel()
	r := newRing()
	_, changed := r.since(0)
	for range ringSize + 5 {
		r.add(event{Kind: "log"})
	}
	select {
	case <-changed:
	default:
		t.Error("reader: got no sign of new events, want one")
	}
	all, _ := r.since(0)
	if len(all) != ringSize || all[0].Seq != 6 || all[ringSize-1].Seq != ringSize+5 {
		t.Errorf("ring: got %d events from %d, want %d from 6", len(all), all[0].Seq, ringSize)
	}
	if fresh, _ := r.since(ringSize + 4); len(fresh) != 1 {
		t.Errorf("since: got %d events, want 1", len(fresh))
	}
}

func TestSessionsAreBounded(t *testing.T) {
	t.Parallel()
	s := newSessions()
	first := s.start("alice")
	for range maxSessions {
		s.start("bob")
	}
	if n := len(s.byDigest); n != maxSessions {
		t.Errorf("sessions: got %d, want %d", n, maxSessions)
	}
	if _, ok := s.find(first.Value); ok {
		t.Error("oldest session: got it, want it ended")
	}
	last := s.start("bob")
	if found, ok := s.find(last.Value); !ok || found.subject != "bob" {
		t.Errorf("newest session: got %v %t, want bob's", found, ok)
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://localhost/", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.AddCookie(last)
	s.end(r)
	if _, ok := s.find(last.Value); ok {
		t.Error("ended session: got it, want none")
	}
}

func TestSlowMemberIsPutOut(t *testing.T) {
	t.Parallel()
	c := newRoom()
	m := &member{name: "alice", lines: make(chan line, memberQueue), out: make(chan struct{})}
	if !c.join(m) {
		t.Fatal("join: got false, want true")
	}
	for range memberQueue + 1 {
		c.say(line{Text: "x"})
	}
	select {
	case <-m.out:
	default:
		t.Error("member: got to stay, want it put out")
	}
	c.say(line{Text: "y"})
	if names := c.names(); len(names) != 0 {
		t.Errorf("names: got %v, want none", names)
	}
}

func TestFullRoom(t *testing.T) {
	t.Parallel()
	c := newRoom()
	for range maxMembers {
		if !c.join(&member{}) {
			t.Fatal("join: got false, want true")
		}
	}
	if c.join(&member{}) {
		t.Error("join of a full room: got true, want false")
	}
}

// The recorder reads what clients send, so it must stand anything, and show no
// part of a first message but its shape.
func FuzzFirstFrame(f *testing.F) {
	for _, text := range []string{"", "hello?", `{"type":"auth","token":"secret","ack":true}`, `{"type":1,"x":{}}`, "null"} {
		frame, err := ws.CompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(frame)
	}
	f.Add([]byte{0x89, 0x80, 1, 2, 3, 4})
	f.Add([]byte{0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, p []byte) {
		message, size := firstFrame(p)
		if size < 0 || size > len(p) {
			t.Fatalf("size: got %d of %d", size, len(p))
		}
		shown := maskMessage(message)
		if len(message) > 12 && strings.Contains(shown, string(message)) {
			t.Fatalf("shown: got %q, which is the message", shown)
		}
		c := &recordedConn{ring: newRing()}
		for _, b := range p {
			c.sees([]byte{b})
		}
		if len(c.in) > maxTapped {
			t.Fatalf("kept: got %d bytes, want at most %d", len(c.in), maxTapped)
		}
	})
}
