package realtime_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// What a renewal elsewhere allows holds at once on the connection, less or more, and
// for as long as it says; nobody else's does.
func TestRenewedElsewhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		writer := s.connect(t, "access_token=key", false)
		writer.next(false)
		c := s.connect(t, "access_token=minute", false)
		c.next(false)
		for _, room := range []string{"room", "other"} {
			c.mustSay(t, `{"action":10,"channel":"`+room+`"}`)
			c.next(false)
		}
		renew := func(token string) {
			t.Helper()
			time.Sleep(time.Second) // A credential of the same time may be an older one.
			id, err := s.identity(token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.sessions.Renew(t.Context(), id); err != nil {
				t.Fatal(err)
			}
		}
		has := func(text string, parts ...string) {
			t.Helper()
			for _, part := range parts {
				if !strings.Contains(text, part) {
					t.Errorf("got %s, want %s", text, part)
				}
			}
		}
		renew("writer") // May publish to room, and nothing else.
		first, second := jsonOf(c.next(false)), jsonOf(c.next(false))
		if strings.Contains(second, `"channel":"other"`) {
			first, second = second, first
		}
		has(first, `"action":9`, `"channel":"other"`, `"code":40160`)
		has(second, `"action":11`, `"channel":"room"`, `"flags":131076`) // Publish, and resumed.
		writer.mustSay(t, `{"action":15,"channel":"room","msgSerial":0,"messages":[{"data":"x"}]}`)
		if got := c.next(false); got != nil {
			t.Errorf("got %s that it may not see any more", jsonOf(got))
		}
		c.mustSay(t, `{"action":15,"channel":"other","msgSerial":0,"messages":[{"data":"x"}]}`)
		has(jsonOf(c.next(true)), `"action":2`, `"code":40160`)
		renew("alice") // Everything, without an end.
		has(jsonOf(c.next(false)), `"action":11`, `"channel":"room"`)
		has(jsonOf(c.next(false)), `"action":16`) // Who is present, whom it could not see before.
		writer.mustSay(t, `{"action":15,"channel":"room","msgSerial":1,"messages":[{"data":"y"}]}`)
		has(jsonOf(c.next(false)), `"data":"y"`)
		time.Sleep(2 * time.Minute)
		if got := c.end(); got != "" {
			t.Errorf("got end %q after the first token's end", got)
		}
		if got := c.next(false); got != nil {
			t.Errorf("got %s, want that no other token is asked for", jsonOf(got))
		}
		renew("minute") // Now it is asked for a token again, and ends.
		time.Sleep(31 * time.Second)
		has(jsonOf(c.next(false)), `"action":17`)
		time.Sleep(31 * time.Second)
		has(jsonOf(c.next(false)), `"action":6`, `"code":40142`)
		if got := writer.end(); got != "" {
			t.Errorf("got end %q of another one", got)
		}
	})
}

// Who attaches, publishes and leaves while what it may do changes all the time is
// answered each time.
func TestReconsiderRaces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{AttachRate: -1})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 200 {
				s.server.Reconsider()
			}
		}()
		for range 100 {
			c.mustSay(t, `{"action":10,"channel":"room"}`)
			c.mustSay(t, `{"action":14,"channel":"room","msgSerial":0,"presence":[{"action":2}]}`)
			c.mustSay(t, `{"action":12,"channel":"room"}`)
		}
		<-done
		attached, detached := 0, 0
		for v := c.next(false); v != nil; v = c.next(false) {
			switch v.(map[string]any)["action"] {
			case 11.0:
				attached++
			case 13.0:
				detached++
			}
		}
		if attached != 100 || detached != 100 || c.end() != "" {
			t.Errorf("got %d attached, %d detached, end %q, want 100 of each", attached, detached, c.end())
		}
		_ = c.conn.Close()
		synctest.Wait()
		s.server.Reconsider()
		if n := len(s.members(t, "room")); n != 0 {
			t.Errorf("got %d members, want none", n)
		}
	})
}

// What is decided late about a transport that is over takes nothing from the one
// that goes on with its connection.
func TestReconsiderLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", false)
		key := textOf(c.next(false), "connectionDetails", "connectionKey")
		c.mustSay(t, `{"action":10,"channel":"other"}`)
		serial := textOf(c.next(false), "channelSerial")
		var first any // The context of the one that was there first.
		hold := make(chan struct{})
		s.mu.Lock()
		s.again = func(ctx context.Context) string {
			s.mu.Lock()
			if first == nil {
				first = ctx
			}
			held := ctx == first
			s.mu.Unlock()
			if !held {
				return "alice"
			}
			<-hold
			return "writer" // Who may not have the channel.
		}
		s.mu.Unlock()
		s.server.Reconsider()
		synctest.Wait()
		_ = c.conn.Close()
		synctest.Wait()
		back := s.connect(t, "access_token=alice&resume="+key, false)
		back.next(false)
		back.mustSay(t, `{"action":10,"channel":"other","channelSerial":"`+serial+`"}`)
		if got := jsonOf(back.next(false)); !strings.Contains(got, `"action":11`) {
			t.Fatalf("got %s, want it attached", got)
		}
		close(hold)
		synctest.Wait()
		if _, err := s.app.Publish(t.Context(), "", hub.Publication{Channel: "other", Messages: []hub.Message{{Data: "x", Form: hub.Text}}}); err != nil {
			t.Fatal(err)
		}
		if got := jsonOf(back.next(false)); !strings.Contains(got, `"data":"x"`) {
			t.Errorf("got %s, want the message", got)
		}
	})
}

// Who was let in just before its credential was good no more, and is not among the
// connections yet when all are asked about, does not stay.
func TestReconsiderOnTheWayIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		s.mu.Lock()
		s.enter = func() {
			s.mu.Lock()
			s.again = func(context.Context) string { return "no more" }
			s.mu.Unlock()
			s.server.Reconsider()
		}
		s.mu.Unlock()
		c := s.connect(t, "access_token=alice", false)
		var last string
		for v := c.next(false); v != nil; v = c.next(false) {
			last = jsonOf(v)
		}
		if !strings.Contains(last, `"action":6`) || c.end() == "" {
			t.Errorf("got %s last, and the end %q", last, c.end())
		}
	})
}
