package realtime_test

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/hub"
)

// A frame that is too large to be held is refused by an answer, in its turn, and
// the connection goes on.
func TestLongFrames(t *testing.T) {
	large := strings.Repeat("x", 700_000)
	for _, msgpack := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, hub.Limits{})
			c := s.connect(t, "access_token=alice", msgpack)
			c.next(false)
			for n, f := range []struct{ say, want string }{
				{`{"action":15,"channel":"room","msgSerial":0,"messages":[{"data":"small"}]}`, `{"action":1,"count":1,"msgSerial":0,`},
				{`{"action":15,"channel":"room","messages":[{"data":"` + large + `"}],"msgSerial":1}`, `"code":40009`},
				{`{"action":14,"msgSerial":2,"channel":"room","presence":[{"action":2,"data":"` + large + `"}]}`, `"code":40009`},
				{`{"action":15,"channel":"room","msgSerial":3,"messages":[{"data":"small"}]}`, `{"action":1,"count":1,"msgSerial":3,`},
			} {
				c.mustSay(t, f.say)
				if got := jsonOf(c.next(true)); !strings.Contains(got, f.want) || !strings.Contains(got, fmt.Sprintf(`"msgSerial":%d`, n)) {
					t.Errorf("got %.200s for number %d, want %s", got, n, f.want)
				}
			}
			// Two at once, so that the second begins where the first ends.
			text := `{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"` + large + `"}]}`
			var both []byte
			for n := range 2 {
				both = append(both, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(fmt.Appendf(nil, text, 4+n))))...)
			}
			if _, err := c.conn.Write(both); err != nil {
				t.Fatal(err)
			}
			for n := range 2 {
				if got := jsonOf(c.next(true)); !strings.Contains(got, fmt.Sprintf(`"msgSerial":%d`, 4+n)) || !strings.Contains(got, `"code":40009`) {
					t.Errorf("got %s, want number %d refused", got, 4+n)
				}
			}
			if got := c.end(); got != "" {
				t.Errorf("got end %q", got)
			}
		})
	}
}

// Browsers send a large message in parts, between which there may be others'.
func TestLongMessageInParts(t *testing.T) {
	text := []byte(`{"action":14,"channel":"room","presence":[{"action":2,"data":"` + strings.Repeat("x", 700_000) + `"}],"msgSerial":7}`)
	for _, size := range []int{1000, 65_536, 600_000, len(text)} {
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, hub.Limits{})
			c := s.connect(t, "access_token=alice", false)
			c.next(false)
			op := ws.OpText
			for rest := text; rest != nil; op = ws.OpContinuation {
				n := min(size, len(rest))
				last := n == 0 // A part of nothing ends it.
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewFrame(op, last, rest[:n]))); err != nil {
					t.Fatal(err)
				}
				if rest = rest[n:]; last {
					rest = nil
				}
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(ws.NewPingFrame(nil))); err != nil {
					t.Fatal(err)
				}
			}
			if got := jsonOf(c.next(true)); !strings.Contains(got, `"msgSerial":7`) || !strings.Contains(got, `"code":40009`) {
				t.Errorf("parts of %d: got %s, want number 7 refused", size, got)
			}
			c.mustSay(t, `{"action":15,"channel":"room","msgSerial":8,"messages":[{"data":"small"}]}`)
			if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1,`) || c.end() != "" {
				t.Errorf("parts of %d: got %s, end %q, want the connection to go on", size, got, c.end())
			}
		})
	}
}

// What is too large and wants no answer ends the connection for good: an SDK would
// come back and say it again.
func TestTooLongFrames(t *testing.T) {
	large := strings.Repeat("x", 700_000)
	for name, f := range map[string]ws.Frame{
		"no answer":  ws.NewTextFrame([]byte(`{"action":10,"channel":"` + large + `"}`)),
		"no head":    ws.NewTextFrame([]byte(large)),
		"very large": {Header: ws.Header{Fin: true, OpCode: ws.OpText, Length: 17 << 20}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, hub.Limits{})
				c := s.connect(t, "access_token=alice", false)
				c.next(false)
				if err := ws.WriteFrame(c.conn, ws.MaskFrame(f)); err != nil {
					t.Fatal(err)
				}
				if got := jsonOf(c.next(false)); !strings.Contains(got, `"action":9`) || !strings.Contains(got, `"code":40009`) {
					t.Errorf("got %s, want ERROR with 40009", got)
				}
				if got := c.end(); got != "1000" {
					t.Errorf("got end %q, want 1000", got)
				}
			})
		})
	}
}

// A client that goes in the middle of a large frame leaves nothing behind.
func TestLongFrameIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{})
		c := s.connect(t, "access_token=alice", true)
		c.next(false)
		if err := ws.WriteHeader(c.conn, ws.Header{Fin: true, OpCode: ws.OpBinary, Masked: true, Length: 1 << 20}); err != nil {
			t.Fatal(err)
		}
		if _, err := c.conn.Write(make([]byte, 100_000)); err != nil {
			t.Fatal(err)
		}
		_ = c.conn.Close()
		synctest.Wait()
	})
}

// Where a publish may be larger, so may its frame.
func TestLargerMessages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hub.Limits{MessageBytes: 1 << 20})
		c := s.connect(t, "access_token=alice&echo=false", false)
		if got := jsonOf(c.next(false)); !strings.Contains(got, `"maxFrameSize":2097152`) {
			t.Errorf("got %s", got)
		}
		bytes := base64.StdEncoding.EncodeToString(make([]byte, 1<<20-len("alice")))
		c.mustSay(t, `{"action":15,"channel":"room","msgSerial":0,"messages":[{"data":"`+bytes+`","encoding":"base64"}]}`)
		if got := jsonOf(c.next(true)); !strings.Contains(got, `"action":1,`) {
			t.Errorf("got %s for a message that is as large as may be", got)
		}
	})
}
