package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/usher-ws/usher/internal/hub"
)

// A client that loses one connection after the other does not shut itself out: its
// oldest give way to it, and neither its newer ones nor those of others do.
func TestLostConnectionsOfOneClientGiveWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{ClientConnections: 3})
		lose := func(who string) (key string) {
			t.Helper()
			c := s.connect(t, "access_token="+who, false)
			v := c.next(false)
			if key = textOf(v, "connectionDetails", "connectionKey"); key == "" {
				t.Fatalf("got %s, want %s let in", jsonOf(v), who)
			}
			_ = c.conn.Close()
			synctest.Wait()
			return key
		}
		resumes := func(who, key string) bool {
			t.Helper()
			v := s.connect(t, "access_token="+who+"&resume="+key, false).next(false)
			return strings.Contains(jsonOf(v), `"action":4`) && !strings.Contains(jsonOf(v), `"error"`)
		}
		others := lose("bob")
		var keys []string
		for range 10 {
			keys = append(keys, lose("alice"))
			time.Sleep(time.Second)
		}
		if connected, disconnected := s.server.Clients(); connected != 0 || disconnected != 4 {
			t.Errorf("got %d connected and %d lost, want 0 and 3 of one client and 1 of the other", connected, disconnected)
		}
		if !resumes("alice", keys[7]) || !resumes("alice", keys[8]) || !resumes("alice", keys[9]) {
			t.Error("got no resume, want the newest three kept")
		}
		full := s.connect(t, "access_token=alice", false)
		time.Sleep(2 * time.Second)
		if got := jsonOf(full.next(false)); !strings.Contains(got, `"code":42910`) {
			t.Errorf("got %s beside three that are live, want 42910", got)
		}
		if !resumes("bob", others) {
			t.Error("got no resume of another client's")
		}
	})
}

// Who becomes somebody on a live connection is such a client, too.
func TestLostConnectionsGiveWayToAuth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{ClientConnections: 1})
		c := s.connect(t, "access_token=alice", false)
		c.next(false)
		_ = c.conn.Close()
		synctest.Wait()
		for _, want := range []string{`"action":4`, `"code":42910`} {
			nobody := s.connect(t, "access_token=nobody", false)
			nobody.next(false)
			nobody.mustSay(t, `{"action":17,"auth":{"accessToken":"alice"}}`)
			if got := jsonOf(nobody.next(false)); !strings.Contains(got, want) {
				t.Errorf("got %s, want %s", got, want)
			}
		}
	})
}

// Those of many clients are let go of without being looked for.
func TestManyLostConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{Connections: 5, ClientConnections: 3})
		for i := range 40 {
			c := s.connect(t, fmt.Sprint("access_token=", []string{"alice", "bob", "nobody", "key"}[i%4]), false)
			if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":4`) {
				t.Fatalf("got %s, want it let in", got)
			}
			_ = c.conn.Close()
			synctest.Wait()
		}
		time.Sleep(3 * time.Minute)
		if _, disconnected := s.server.Clients(); disconnected != 0 {
			t.Errorf("got %d lost ones after three minutes, want none", disconnected)
		}
	})
}
