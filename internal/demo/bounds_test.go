package demo

import (
	"net/http"
	"strings"
	"testing"
	"time"

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

func TestLoginsAreBounded(t *testing.T) {
	t.Parallel()
	s := newLogins()
	until := time.Now().Add(time.Hour)
	first := s.start(login{subject: "alice", expires: until})
	for range maxLogins {
		s.start(login{subject: "bob", expires: until.Add(time.Minute)})
	}
	if n := len(s.byDigest); n != maxLogins {
		t.Errorf("logins: got %d, want %d", n, maxLogins)
	}
	if _, ok := s.find(first); ok {
		t.Error("oldest login: got it, want it ended")
	}
	last := s.start(login{subject: "bob", expires: until})
	if found, ok := s.find(last); !ok || found.subject != "bob" {
		t.Errorf("newest login: got %v %t, want bob's", found, ok)
	}
	s.end(last)
	if _, ok := s.find(last); ok {
		t.Error("ended login: got it, want none")
	}
	if _, ok := s.find(s.start(login{subject: "bob", expires: time.Now()})); ok {
		t.Error("expired login: got it, want none")
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

// What a backend received is shown whole, but for what could be a credential.
func FuzzHeard(f *testing.F) {
	f.Add("X-User", "")
	f.Add("Authorization", "Bearer ")
	f.Add("x-usher-identity", "")
	f.Add("Cookie", "a=")
	f.Add("X-Api-Key", "\x00")
	const canary = "Canary8Canary8"
	f.Fuzz(func(t *testing.T, name, before string) {
		h := parseHead([]byte("GET /?try=a&x=" + canary + " HTTP/1.1\r\n" + name + ": " + before + canary))
		shown := h.event("Go")
		if strings.Contains(shown.Line, canary) {
			t.Errorf("line: got the secret in %q", shown.Line)
		}
		for _, header := range shown.Fields {
			key := http.CanonicalHeaderKey(header.Name)
			if !strings.Contains(header.Value, canary) || ordinary[key] {
				continue
			}
			// A cookie's name is shown, and headers that have a part in a handshake.
			switch key {
			case "Cookie", "Origin", "Connection", "Upgrade", "Sec-Websocket-Version", "Sec-Fetch-Site", "Content-Type":
			default:
				t.Errorf("header: got the secret in %q", header)
			}
		}
	})
}
