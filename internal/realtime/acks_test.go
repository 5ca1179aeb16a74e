package realtime_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/gobwas/ws"

	"github.com/usher-ws/usher/internal/hub"
)

// What a client sends at once is answered at once, in order, and before what it
// asks for in between.
func TestAnsweredAtOnce(t *testing.T) {
	const message = `{"action":15,"channel":"room","msgSerial":%d,"messages":[{"data":"x"}]}`
	for _, tt := range []struct {
		name string
		sent []string // After two messages.
		want []string // What the answers have in them.
	}{
		{"messages", []string{fmt.Sprintf(message, 2)}, []string{`"action":1,"count":3,"msgSerial":0,`}},
		{"a refusal", []string{`{"action":15,"channel":"room","msgSerial":2}`, fmt.Sprintf(message, 3)}, []string{
			`"action":1,"count":2,"msgSerial":0,`, `"action":2,"count":1,`, `"action":1,"count":1,"msgSerial":3,`,
		}},
		{"a close", []string{`{"action":7}`}, []string{`"action":1,"count":2,"msgSerial":0,`}},
		{"something else in between", []string{`{"action":0,"id":"x"}`, fmt.Sprintf(message, 2)}, []string{
			`"action":1,"count":2,"msgSerial":0,`, `"action":1,"count":1,"msgSerial":2,`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newSite(t, hub.Limits{}).connect(t, "access_token=alice", false)
				c.next(false)
				var all []byte
				for _, text := range append([]string{fmt.Sprintf(message, 0), fmt.Sprintf(message, 1)}, tt.sent...) {
					all = append(all, ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte(text))))...)
				}
				if _, err := c.conn.Write(all); err != nil {
					t.Fatal(err)
				}
				for i, want := range tt.want {
					if got := jsonOf(c.next(true)); !strings.Contains(got, want) {
						t.Errorf("got answer %d %s, want %s", i, got, want)
					}
				}
				if got := c.next(true); got != nil {
					t.Errorf("got %v after all answers", got)
				}
			})
		})
	}
}
