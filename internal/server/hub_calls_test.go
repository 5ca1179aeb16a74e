package server_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// bounded is a hub whose calls are bounded as low as they can be.
var bounded = strings.Replace(hubbed, "    chat:\n      keys:\n", "    chat:\n      limits: {calls: 30, key_calls: 20, client_calls: 10}\n"+
	"      keys:\n        other: {secret: {file: secret}}\n", 1)

// hold begins calls that do not end, since their bodies do not come, and returns
// what ends them.
func (g *gateway) hold(t *testing.T, token string, n int) (end func()) {
	t.Helper()
	var held []net.Conn
	for range n {
		c, err := net.Dial("tcp", g.public)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		head := "POST /channels/a/messages HTTP/1.1\r\nHost: " + g.public + "\r\nAuthorization: Bearer " + token +
			"\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
		if _, err := io.WriteString(c, head); err != nil {
			t.Fatal(err)
		}
		// Which is said as the body is read: the call is under way.
		if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "100 Continue") {
			t.Fatalf("got %q, %v", line, err)
		}
		held = append(held, c)
	}
	return func() {
		for _, c := range held {
			_, _ = io.WriteString(c, `{"data":"x"}`)
			_, _ = bufio.NewReader(c).ReadString('\n')
			_ = c.Close()
		}
	}
}

// Who has calls under way by the hundred is refused one more, and nobody else is:
// no other client of its key, no other key of its app.
func TestHubCallsUnderWay(t *testing.T) {
	g := start(t, bounded)
	tokens := make(map[string]string)
	for _, who := range []string{"mallory", "mona", "alice"} {
		tokens[who] = keyToken(t, "chat.full", map[string]any{"x-ably-clientId": who})
	}
	publish := func(token string, status int, code string) {
		t.Helper()
		h := http.Header{"Authorization": {"Bearer " + token}, "Content-Type": {"application/json"}}
		res, body := do(t, http.MethodPost, "http://"+g.public+"/channels/a/messages", h, `{"data":"x"}`)
		if res.StatusCode != status || res.Header.Get("X-Ably-Errorcode") != code || (code != "") != (res.Header.Get("Retry-After") != "") {
			t.Errorf("got %d %s %v, want %d and code %q", res.StatusCode, body, res.Header, status, code)
		}
	}
	endMallory := g.hold(t, tokens["mallory"], 10)
	publish(tokens["mallory"], http.StatusTooManyRequests, "42910")
	publish(tokens["alice"], http.StatusCreated, "")
	endMona := g.hold(t, tokens["mona"], 10)
	publish(tokens["alice"], http.StatusTooManyRequests, "42910") // All of the key's.
	publish("chat.other:"+secret, http.StatusCreated, "")
	// The past of a channel counts as ten.
	h := http.Header{"Authorization": {"Bearer chat.other:" + secret}}
	past := "http://" + g.public + "/channels/a/messages"
	if res, body := do(t, http.MethodGet, past, h, ""); res.StatusCode != http.StatusOK {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	endOther := g.hold(t, "chat.other:"+secret, 1)
	if res, body := do(t, http.MethodGet, past, h, ""); res.StatusCode != http.StatusTooManyRequests {
		t.Errorf("got %d %s, want what is beyond the app's refused", res.StatusCode, body)
	}
	// Who has no credential takes nothing from anybody.
	for range 40 {
		do(t, http.MethodPost, "http://"+g.public+"/channels/a/messages", http.Header{"Authorization": {"Bearer chat.full:wrong"}}, "")
	}
	endOther()
	endMona()
	endMallory()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // The server hears of the end a moment later.
		res, body := do(t, http.MethodGet, past, h, "")
		if res.StatusCode == http.StatusOK {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("got %d %s after all have ended", res.StatusCode, body)
		}
	}
	publish(tokens["mallory"], http.StatusCreated, "")
}
