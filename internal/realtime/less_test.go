package realtime_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// Who may not be present any more is not, also where it stays attached, and where it
// comes back to the connection with another token.
func TestNoLongerPresent(t *testing.T) {
	tests := map[string]func(s *site, c *client, t *testing.T, key string){
		"renewed elsewhere": func(s *site, _ *client, t *testing.T, _ string) { s.renew(t, "reader") },
		"sends a token": func(_ *site, c *client, t *testing.T, _ string) {
			c.mustSay(t, `{"action":17,"auth":{"accessToken":"reader"}}`)
		},
		"comes back": func(s *site, c *client, t *testing.T, key string) {
			_ = c.conn.Close()
			s.connect(t, "access_token=reader&resume="+key, false).next(false)
		},
	}
	for name, less := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hub.Limits{})
				c := s.connect(t, "access_token=alice", false)
				key := textOf(c.next(false), "connectionDetails", "connectionKey")
				c.mustSay(t, `{"action":10,"channel":"room"}`)
				c.mustSay(t, `{"action":14,"channel":"room","msgSerial":0,"presence":[{"action":2}]}`)
				synctest.Wait()
				if n := len(s.members(t, "room")); n != 1 {
					t.Fatalf("got %d members, want one", n)
				}
				less(s, c, t, key)
				synctest.Wait()
				if n := len(s.members(t, "room")); n != 0 {
					t.Errorf("got %d members, want none", n)
				}
			})
		})
	}
}

// A client that takes nothing of what it has asked for does not put off what it may
// do no more.
func TestLessWhileStuck(t *testing.T) {
	s := newSite(t, hub.Limits{})
	c := s.connect(t, "access_token=alice", false)
	c.mustSay(t, `{"action":10,"channel":"room"}`)
	c.mustSay(t, `{"action":14,"channel":"room","msgSerial":0,"presence":[{"action":2}]}`)
	eventually(t, "it is present", func() bool { return len(s.members(t, "room")) == 1 })
	stuck := make(chan struct{})
	defer close(stuck)
	c.note(func() { c.stuck = stuck })
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 8 { // Of which the last are not read.
			if c.say(`{"action":0,"id":"`+strings.Repeat("x", 400_000)+`"}`) != nil {
				return
			}
		}
	}()
	time.Sleep(200 * time.Millisecond) // Until nothing more is read from it.
	s.renew(t, "reader")
	eventually(t, "it is present no more", func() bool { return len(s.members(t, "room")) == 0 })
	_ = c.conn.Close()
	<-done
}

func eventually(t *testing.T, what string, f func() bool) {
	t.Helper()
	for began := time.Now(); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("got nothing for 30 s, want that %s", what)
		}
	}
}

// renew has the connections of a token's client get another one.
func (s *site) renew(t *testing.T, token string) {
	t.Helper()
	time.Sleep(time.Millisecond) // A credential of the same time may be an older one.
	id, err := s.identity(token)
	if err != nil {
		t.Fatal(err)
	}
	if n, err := s.sessions.Renew(t.Context(), id); n != 1 || err != nil {
		t.Fatalf("got %d renewed, %v, want one", n, err)
	}
}
