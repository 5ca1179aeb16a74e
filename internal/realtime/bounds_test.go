package realtime_test

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/hub"
)

// textOf returns what is in a frame at a path of names.
func textOf(v any, path ...string) string {
	for _, name := range path {
		m, _ := v.(map[string]any)
		v = m[name]
	}
	s, _ := v.(string)
	return s
}

// Clients that take nothing hold up nobody, though they are many more than write at
// one time.
func TestStuckClientsHoldUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Rate: -1, ChannelRate: -1})
		stuck := make(chan struct{})
		defer close(stuck)
		for range 100 * runtime.GOMAXPROCS(0) {
			c := s.attached(t, "access_token=alice")
			c.note(func() { c.stuck = stuck })
		}
		fast := s.attached(t, "access_token=bob&echo=false")
		for i := range 20 {
			if err := fast.say(fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"%d"}]}`, i, i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(50 * time.Millisecond) // Until it is seen that all who write are stuck.
			if fast.next(true) == nil {
				t.Fatalf("got no answer to message %d", i)
			}
		}
	})
}

// attached returns a client that is attached to a room.
func (s *site) attached(t *testing.T, query string) *client {
	t.Helper()
	c := s.connect(t, query, false)
	c.next(false)
	if err := c.say(`{"action":10,"channel":"room"}`); err != nil {
		t.Fatal(err)
	}
	if v := c.next(false); textOf(v, "channelSerial") == "" {
		t.Fatalf("got %v, want ATTACHED", v)
	}
	return c
}

// A client that takes nothing is let go, and nobody waits for it. It comes back
// and has missed nothing.
func TestSlowClientIsLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Rate: -1, ChannelRate: -1})
		slow := s.connect(t, "access_token=alice", false)
		key := textOf(slow.next(false), "connectionDetails", "connectionKey")
		if err := slow.say(`{"action":10,"channel":"room"}`); err != nil {
			t.Fatal(err)
		}
		serial := textOf(slow.next(false), "channelSerial")
		fast := s.connect(t, "access_token=bob&echo=false", false)
		fast.next(false)
		stuck := make(chan struct{})
		slow.note(func() { slow.stuck = stuck })
		const n = 300
		for i := range n {
			if err := fast.say(fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"%d"}]}`, i, i)); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * time.Millisecond) // Until it is seen that who writes is stuck, on one core.
			if fast.next(true) == nil {
				t.Fatalf("got no answer to message %d, want one: nobody waits for who is slow", i)
			}
		}
		time.Sleep(16 * time.Second)
		close(stuck)
		if got := slow.end(); got != "cut" {
			t.Errorf("got end %q, want that the client was let go", got)
		}
		seen := 0
		for {
			v := slow.next(false)
			if v == nil {
				break
			}
			seen++
			serial = textOf(v, "channelSerial")
		}
		back := s.connect(t, "access_token=alice&resume="+key, false)
		back.next(false)
		if err := back.say(`{"action":10,"channel":"room","channelSerial":"` + serial + `"}`); err != nil {
			t.Fatal(err)
		}
		if v, _ := back.next(false).(map[string]any); v["error"] != nil || int(v["flags"].(float64))&4 == 0 {
			t.Fatalf("got %s, want a resume", jsonOf(v))
		}
		for ; ; seen++ {
			v := back.next(false)
			if v == nil {
				break
			}
			m := v.(map[string]any)["messages"].([]any)[0]
			if got := textOf(m, "data"); got != fmt.Sprint(seen) {
				t.Fatalf("got message %s, want %d", got, seen)
			}
		}
		if seen != n {
			t.Errorf("got %d messages, want %d", seen, n)
		}
	})
}

func TestTooLarge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		large := strings.Repeat("x", 65_537)
		if err := c.say(`{"action":15,"channel":"room","msgSerial":0,"messages":[{"data":"` + large + `"}]}`); err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"code":40009`) {
			t.Errorf("got %s for a message, want 40009", got)
		}
	})
}

func TestRateIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Rate: 10})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		refused := 0
		for i := range 40 {
			if err := c.say(fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"x"}]}`, i)); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(jsonOf(c.next(true)), `"code":42911`) {
				refused++
			}
		}
		if refused != 20 {
			t.Errorf("got %d refused, want 20 of 40 at once where 10 may come in a second", refused)
		}
		time.Sleep(time.Second)
		if err := c.say(`{"action":15,"channel":"room","msgSerial":40,"messages":[{"data":"x"}]}`); err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1`) {
			t.Errorf("got %s, want the connection to go on", got)
		}
	})
}

// A client that breaks the rules of WebSocket is told so by the Guard.
func TestBrokenFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		if err := ws.WriteHeader(c.conn, ws.Header{Fin: true, Rsv: 4, OpCode: ws.OpText, Masked: true}); err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":6`) {
			t.Errorf("got %s, want DISCONNECTED", got)
		}
		if got := c.end(); got != "1002" {
			t.Errorf("got end %q, want 1002", got)
		}
	})
}

// A client that says nothing, to a Ping either, is gone.
func TestDeadClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		time.Sleep(10 * time.Minute)
		if got := c.end(); got != "" {
			t.Fatalf("got end %q of a client that answers", got)
		}
		c.note(func() { c.mute = true })
		time.Sleep(time.Minute)
		if got := c.end(); got != "cut" {
			t.Errorf("got end %q of a client that does not, want that it was let go", got)
		}
	})
}

func TestConnectionKeyOpens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		v := c.next(false)
		id, key := textOf(v, "connectionId"), textOf(v, "connectionDetails", "connectionKey")
		if got, ok := s.server.Connection("app", key); !ok || got != id {
			t.Errorf("got %q, %t, want %q", got, ok, id)
		}
		for app, wrong := range map[string]string{"other": key, "app": key + "x", "": ""} {
			if got, ok := s.server.Connection(app, wrong); ok {
				t.Errorf("app %q, key %q: got %q", app, wrong, got)
			}
		}
	})
}

// Who leaves connections behind that could be resumed, for as long as it may, keeps
// nobody out by that. Those that are live are not put out; at their bound a client
// is told to come again.
func TestLostConnectionsGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Connections: 10})
		stays := s.connect(t, "access_token=bob", false)
		key := textOf(stays.next(false), "connectionDetails", "connectionKey")
		for range 50 {
			c := s.connect(t, "access_token=alice&remainPresentFor=600000", false)
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":4`) {
				t.Fatalf("got %s, want it let in", got)
			}
			c.mustSay(t, `{"action":10,"channel":"room"}`)
			c.mustSay(t, `{"action":14,"channel":"room","msgSerial":0,"presence":[{"action":2}]}`)
			synctest.Wait()
			_ = c.conn.Close()
			synctest.Wait()
		}
		var live []*client
		for range 9 {
			c := s.connect(t, "access_token=bob", false)
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":4`) {
				t.Fatalf("got %s, want it let in", got)
			}
			live = append(live, c)
		}
		if n := len(s.members(t, "room")); n != 0 {
			t.Errorf("got %d members of connections that gave way, want that they have left", n)
		}
		late := s.connect(t, "access_token=bob", false)
		time.Sleep(2 * time.Second) // It is not told at once.
		if got := jsonOf(late.next(false)); !strings.Contains(got, `"action":6`) || !strings.Contains(got, `"code":42910`) {
			t.Errorf("got %s, want DISCONNECTED with 42910", got)
		}
		for _, c := range append(live, stays) {
			c.mustSay(t, `{"action":0,"id":"x"}`)
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"id":"x"`) {
				t.Errorf("got %s of a connection that was live", got)
			}
		}
		_ = stays.conn.Close()
		synctest.Wait()
		back := s.connect(t, "access_token=bob&resume="+key, false)
		if got := jsonOf(back.next(false)); !strings.Contains(got, `"action":4`) || strings.Contains(got, `"error"`) {
			t.Errorf("got %s, want a resume where nobody needs the place", got)
		}
	})
}

// members are those of a channel.
func (s *site) members(t *testing.T, channel string) []*hub.Message {
	t.Helper()
	list, err := s.app.Members(t.Context(), channel)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Who attaches to one channel after the other is told to wait, in a way that its
// SDK tries again after, and may do everything else.
func TestAttachRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Channels: 5, AttachRate: 1})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		attached, later := 0, 0
		for i := range 20 {
			c.mustSay(t, fmt.Sprintf(`{"action":10,"channel":"%d"}`, i))
			switch got := jsonOf(c.next(false)); {
			case strings.Contains(got, `"action":11`):
				attached++
				c.mustSay(t, fmt.Sprintf(`{"action":12,"channel":"%d"}`, i))
				c.next(false)
			case strings.Contains(got, `"action":13`) && strings.Contains(got, `"code":42910`):
				later++
			default:
				t.Fatalf("got %s, want ATTACHED, or DETACHED with 42910", got)
			}
		}
		if attached != 5 || later != 15 {
			t.Errorf("got %d attached and %d told to wait, want 5 and 15", attached, later)
		}
		if n, err := s.app.Channels(t.Context(), "", "", 100); len(n) != 5 || err != nil {
			t.Errorf("got %v, %v, want five channels that the log follows", n, err)
		}
		c.mustSay(t, `{"action":15,"channel":"0","msgSerial":0,"messages":[{"data":"x"}]}`)
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1`) {
			t.Errorf("got %s, want it published", got)
		}
		time.Sleep(time.Second)
		c.mustSay(t, `{"action":10,"channel":"19"}`)
		if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":11`) {
			t.Errorf("got %s a second later, want ATTACHED", got)
		}
	})
}

// A text frame is JSON whatever was agreed, and one that is no UTF-8 is refused
// rather than changed.
func TestTextFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		for i, c := range []*client{s.connect(t, "access_token=alice", true), s.connect(t, "access_token=bob", false)} {
			c.next(false)
			for n, step := range []struct{ data, want string }{{"x", `"action":1,`}, {"\xff", `"code":40000`}, {"y", `"action":1,`}} {
				text := fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"`+step.data+`"}]}`, n)
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
					t.Fatal(err)
				}
				if got := jsonOf(c.next(true)); !strings.Contains(got, step.want) {
					t.Errorf("client %d: got %s for %q, want %s", i, got, step.data, step.want)
				}
			}
			for _, text := range []string{"", "{", "null", strings.Repeat("[", 1000)} {
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewTextFrame([]byte(text)))); err != nil {
					t.Fatal(err)
				}
				if got := jsonOf(c.next(false)); !strings.Contains(got, `"channel":""`) || !strings.Contains(got, `"code":40000`) {
					t.Errorf("client %d: got %s for %.9q, want an ERROR 40000 of no channel", i, got, text)
				}
			}
			if got := c.end(); got != "" {
				t.Errorf("client %d: got end %q", i, got)
			}
		}
	})
}

// A client that asks for more than it takes is read no further until it takes
// it, and gets an answer to everything.
func TestAsksForMoreThanItTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		stuck := make(chan struct{})
		c.note(func() { c.stuck = stuck })
		const n = 3000 // Whose answers are more than 4 MB.
		name := strings.Repeat("x", 2000)
		sent := make(chan error, 1)
		go func() {
			for range n {
				if err := c.say(`{"action":10,"channel":":` + name + `"}`); err != nil {
					sent <- err
					return
				}
			}
			sent <- nil
		}()
		time.Sleep(5 * time.Second)
		c.note(func() { c.stuck = nil })
		close(stuck)
		if err := <-sent; err != nil {
			t.Fatal(err)
		}
		for i := range n {
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"code":40010`) {
				t.Fatalf("got %.80s for what was asked as number %d", got, i)
			}
		}
		if got := c.end(); got != "" {
			t.Errorf("got end %q", got)
		}
	})
}

// A client that goes on with many times what it may is let go, by a resume it gets
// no more through, and when it has calmed down it is as welcome as before.
func TestFloodEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Rate: 10})
		seen := s.connect(t, "access_token=bob", false)
		seen.next(false)
		seen.mustSay(t, `{"action":10,"channel":"room"}`)
		seen.next(false)
		c := s.connect(t, "access_token=alice&echo=false", false)
		key := textOf(c.next(false), "connectionDetails", "connectionKey")
		serial := 0
		flood := func() (taken, refused int, end string) {
			t.Helper()
			for range 1000 {
				c.mustSay(t, fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"x"}]}`, serial))
				serial++
				switch got := jsonOf(c.next(true)); {
				case strings.Contains(got, `"action":1`):
					taken++
				case strings.Contains(got, `"code":42911`):
					refused++
				}
				if v := c.next(false); v != nil {
					return taken, refused, jsonOf(v)
				}
			}
			return taken, refused, ""
		}
		taken, refused, end := flood()
		if taken != 20 || refused != 201 || !strings.Contains(end, `"action":6`) || !strings.Contains(end, `"code":42920`) {
			t.Errorf("got %d taken, %d refused, then %s, want 20, 201 and DISCONNECTED with 42920", taken, refused, end)
		}
		back := func() {
			t.Helper()
			c = s.connect(t, "access_token=alice&echo=false&resume="+key, false)
			v := c.next(false)
			if key = textOf(v, "connectionDetails", "connectionKey"); !strings.Contains(jsonOf(v), `"action":4`) {
				t.Fatalf("got %s, want it let in", jsonOf(v))
			}
		}
		back()
		if taken, refused, end = flood(); taken != 0 || refused > 2 || !strings.Contains(end, `"code":42920`) {
			t.Errorf("got %d taken, %d refused, then %s after a resume, want it let go at once", taken, refused, end)
		}
		arrived := 0
		for seen.next(false) != nil {
			arrived++
		}
		if arrived != 20 || seen.end() != "" {
			t.Errorf("got %d that arrived, want 20, and the other client to go on", arrived)
		}
		time.Sleep(3 * time.Second)
		back()
		c.mustSay(t, fmt.Sprintf(`{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"x"}]}`, serial))
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1`) {
			t.Errorf("got %s, want it published", got)
		}
	})
}
