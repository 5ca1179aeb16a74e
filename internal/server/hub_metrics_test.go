package server_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// An operator sees what the hub has to do, and what its clients are refused.
func TestHubMetrics(t *testing.T) {
	g := start(t, hubbed)
	at := "ws://" + g.public + "/?key=chat."
	full, see := mustDial(t, at+"full:"+secret, nil), mustDial(t, at+"see:"+secret, nil)
	for _, c := range []*websocket.Conn{full, see} {
		says(t, c, connected, 0)
		tell(t, c, `{"action":10,"channel":"a"}`)
		says(t, c, attached, 0)
	}
	tell(t, see, `{"action":15,"channel":"a","msgSerial":0,"messages":[{"data":"no"}]}`)
	says(t, see, nacked, 40160)
	tell(t, full, `{"action":15,"channel":"a","msgSerial":0,"messages":[{"data":"yes"}]}`)
	says(t, see, message, 0)
	if res, body := do(t, http.MethodGet, "http://"+g.public+"/channels/a/messages", nil, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	g.counts(t, `usher_hub_connections{state="connected"} 2`, `usher_hub_connections{state="disconnected"} 0`,
		`usher_hub_channels 1`, `usher_hub_messages_total{direction="in"} 1`, `usher_hub_messages_total{direction="out"} 2`,
		`usher_hub_bytes_total{direction="in"} 3`, `usher_hub_append_seconds_count{result="ok"} 1`,
		`usher_hub_append_seconds_count{result="failed"} 0`,
		`usher_hub_refusals_total{code="40101"} 1`, `usher_hub_refusals_total{code="40160"} 1`)
	see.Close()
	g.counts(t, `usher_hub_connections{state="connected"} 1`, `usher_hub_connections{state="disconnected"} 1`)
	_, body := do(t, http.MethodGet, "http://"+g.admin+"/usher/v1/status", nil, "")
	for _, line := range []string{`"connected": 1`, `"disconnected": 1`, `"channels": 1`, `"in": 1`, `"out": 2`} {
		if !strings.Contains(body, line) {
			t.Errorf("got no %s in:\n%s", line, body)
		}
	}
}

// counts fails the test unless the metrics have lines, soon.
func (g *gateway) counts(t *testing.T, lines ...string) {
	t.Helper()
	for until := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		_, body := do(t, http.MethodGet, "http://"+g.admin+"/metrics", nil, "")
		missing := ""
		for _, line := range lines {
			if !strings.Contains(body, "\n"+line+"\n") {
				missing = line
			}
		}
		if missing == "" {
			return
		}
		if time.Now().After(until) {
			t.Fatalf("got no %s in:\n%s", missing, body)
		}
	}
}
