package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/usher-ws/usher/internal/ably"
)

// rotateHubKey gives a key another secret.
func rotateHubKey(t *testing.T, g *gateway, k hubKey, body string) (fresh hubKey, until time.Time) {
	t.Helper()
	name, _ := k.parts()
	app, id, _ := strings.Cut(name, ".")
	got := call(t, g.admin, "POST", "apps/"+app+"/keys/"+id+"/rotate", body)
	var old struct {
		OldUntil time.Time `json:"old_until"`
	}
	got.into(t, http.StatusOK, &fresh)
	got.into(t, http.StatusOK, &old)
	if fresh.ID != k.ID || fresh.Text == k.Text || !strings.HasPrefix(fresh.Text, name+":") {
		t.Fatalf("got the key %s of %s", fresh.ID, k.ID)
	}
	return fresh, old.OldUntil
}

// asked asks for a token by a request that the key has signed, or by the key itself.
func asked(t *testing.T, g *gateway, k hubKey, signed bool) string {
	t.Helper()
	name, secret := k.parts()
	r := &ably.TokenRequest{KeyName: name, Timestamp: time.Now().UnixMilli(), Nonce: fmt.Sprintf("a nonce of a test %d", time.Now().UnixNano())}
	h := http.Header{}
	if signed {
		r.Sign(secret)
	} else {
		h = basic(name, secret)
	}
	h.Set("Content-Type", "application/json")
	body := fmt.Sprintf(`{"keyName":%q,"timestamp":%d,"nonce":%q,"mac":%q}`, name, r.Timestamp, r.Nonce, r.MAC)
	res, text := do(t, http.MethodPost, "http://"+g.public+"/keys/"+name+"/requestToken", h, body)
	var d struct{ Token string }
	if err := json.Unmarshal([]byte(text), &d); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("got %d %s, %v", res.StatusCode, text, err)
	}
	return d.Token
}

// A key has another secret, and the one before is good until its time is over: then
// what it has opened ends, and so does what came of it meanwhile.
func TestAppKeyIsRotated(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"chat"}`)
	k, beside := makeHubKey(t, g.admin, "chat", `{"id":"server"}`), makeHubKey(t, g.admin, "chat", `{}`)
	byKey, byToken, other := enters(t, g, "key="+k.Text), enters(t, g, "access_token="+k.token(t)), enters(t, g, "key="+beside.Text)
	fresh, until := rotateHubKey(t, g, k, `{"overlap":8}`)
	if left := time.Until(until); left <= 0 || left > 8*time.Second {
		t.Errorf("got %v for the secret before, want 8 s", left)
	}
	byFresh, byFreshToken := enters(t, g, "key="+fresh.Text), enters(t, g, "access_token="+fresh.token(t))
	late := enters(t, g, "key="+k.Text)
	old := []string{k.token(t), asked(t, g, k, true), asked(t, g, k, false)}
	for _, token := range old {
		says(t, mustDial(t, "ws://"+g.public+"/?access_token="+token, nil), connected, 0)
	}
	good := asked(t, g, fresh, true)
	if got := publish(t, g, k, "a", "x") + publish(t, g, fresh, "a", "x"); got != 2*http.StatusCreated {
		t.Errorf("got the statuses %d, want 201 for both", got)
	}
	var list struct {
		Keys []map[string]any
	}
	if got := call(t, g.admin, "GET", "apps/chat/keys", ""); true {
		got.into(t, http.StatusOK, &list)
		if list.Keys[0]["old_until"] == nil || list.Keys[1]["old_until"] != nil || strings.Contains(got.text, "secret") {
			t.Errorf("got %s", got.text)
		}
	}

	for _, c := range []*websocket.Conn{byKey, byToken, late} {
		says(t, c, disconnected, 40141)
		if time.Now().Before(until) {
			t.Error("got the end too soon")
		}
	}
	says(t, mustDial(t, "ws://"+g.public+"/?key="+k.Text, nil), failed, 40101)
	for _, token := range old {
		says(t, mustDial(t, "ws://"+g.public+"/?access_token="+token, nil), failed, 40144)
	}
	if got := publish(t, g, k, "a", "x"); got != http.StatusUnauthorized {
		t.Errorf("got %d by the secret before, want 401", got)
	}
	enters(t, g, "access_token="+good)
	tell(t, byFresh, `{"action":10,"channel":"b"}`)
	says(t, byFresh, attached, 0)
	tell(t, byFreshToken, `{"action":10,"channel":"b"}`)
	says(t, byFreshToken, attached, 0)
	tell(t, other, `{"action":10,"channel":"b"}`)
	says(t, other, attached, 0)

	// Or it ends at once, and the fresh one is good at once.
	last, _ := rotateHubKey(t, g, fresh, `{"overlap":0}`)
	says(t, byFresh, disconnected, 40141)
	says(t, byFreshToken, disconnected, 40141)
	says(t, mustDial(t, "ws://"+g.public+"/?key="+fresh.Text, nil), failed, 40101)
	enters(t, g, "key="+last.Text)
	enters(t, g, "access_token="+last.token(t))
	for what, got := range map[string]apiAnswer{
		"another key": call(t, g.admin, "POST", "apps/chat/keys/none/rotate", `{}`),
		"a year":      call(t, g.admin, "POST", "apps/chat/keys/server/rotate", `{"overlap":31536000}`),
		"configured":  call(t, g.admin, "POST", "apps/usher/keys/main/rotate", `{}`),
		"by GET":      call(t, g.admin, "GET", "apps/chat/keys/server/rotate", ""),
	} {
		if got.status < 400 || got.status >= 500 {
			t.Errorf("%s: got %d", what, got.status)
		}
	}
	for _, key := range []hubKey{k, fresh, last} {
		if _, secret := key.parts(); strings.Contains(g.logs.String(), secret) {
			t.Error("got a secret in the log")
		}
	}
}
