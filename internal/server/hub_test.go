package server_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/usher-ws/usher/internal/config"
	"github.com/usher-ws/usher/internal/server"
)

// hubbed is a hub with one app, whose keys all have the same secret.
const hubbed = front + `
hub:
  apps:
    chat:
      keys:
        full: {secret: {file: secret}}
        see: {secret: {file: secret}, capability: {"a": [subscribe]}}
  verify: [local]
  carriers: [{ticket: {}}]
`

// A word is a protocol message of the hub, as far as these tests look at it.
type word struct {
	Action  int
	Channel string
	Error   struct {
		Code, StatusCode int
		Message          string
	}
	Details struct{ ClientID string } `json:"connectionDetails"`
}

// next reads the next word, heartbeats left out.
func next(t testing.TB, c *websocket.Conn) (w word) {
	t.Helper()
	for {
		_, text, err := c.ReadMessage()
		if err != nil {
			t.Fatal(err)
		}
		w = word{}
		if err := json.Unmarshal(text, &w); err != nil {
			t.Fatalf("%v in %q", err, text)
		}
		if w.Action != 0 {
			return w
		}
	}
}

// says fails the test unless the next word is of an action, and of a code where
// one is wanted.
func says(t testing.TB, c *websocket.Conn, action, code int) {
	t.Helper()
	if w := next(t, c); w.Action != action || w.Error.Code != code {
		t.Errorf("got %+v, want action %d and code %d", w, action, code)
	}
}

func tell(t testing.TB, c *websocket.Conn, text string) {
	t.Helper()
	if err := c.WriteMessage(websocket.TextMessage, []byte(text)); err != nil {
		t.Fatal(err)
	}
}

const (
	nacked       = 2
	connected    = 4
	disconnected = 6
	failed       = 9
	attached     = 11
	message      = 15
)

// hubTicket gets a ticket for the hub.
func (g *gateway) hubTicket(t testing.TB, h http.Header) string {
	t.Helper()
	all := bearer(t)
	maps.Copy(all, h)
	_, body := do(t, http.MethodPost, "http://"+g.public+"/usher/v1/tickets?route=/", all, "")
	var made struct{ Ticket string }
	if err := json.Unmarshal([]byte(body), &made); err != nil || made.Ticket == "" {
		t.Fatalf("got %s, %v", body, err)
	}
	return made.Ticket
}

// The SDKs bring a ticket as their token, at the door and in band; of one that is
// not good any more they hear that another would be.
func TestHubTicketAsToken(t *testing.T) {
	g := start(t, hubbed)
	at := "ws://" + g.public + "/?access_token="
	page := http.Header{"Origin": {"https://app.example.com"}}
	first := g.hubTicket(t, page)
	says(t, mustDial(t, at+first, nil), failed, 40140) // Of another origin, and not spent by that.
	c := mustDial(t, at+first, page)
	if w := next(t, c); w.Action != connected || w.Details.ClientID != "alice" {
		t.Errorf("got %+v", w)
	}
	says(t, mustDial(t, at+first, page), failed, 40140)
	tell(t, c, fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, g.hubTicket(t, page)))
	says(t, c, connected, 0)
	tell(t, c, fmt.Sprintf(`{"action":17,"auth":{"accessToken":%q}}`, first))
	says(t, c, failed, 40140)
	again := g.hubTicket(t, nil)
	h := http.Header{"Authorization": {"Bearer " + base64.StdEncoding.EncodeToString([]byte(again))}}
	if res, body := do(t, http.MethodGet, "http://"+g.public+"/channels/a/messages", h, ""); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d %s for a ticket by REST", res.StatusCode, body)
	}
	says(t, mustDial(t, at+again, nil), connected, 0)

	without := start(t, strings.Replace(hubbed, "  carriers: [{ticket: {}}]\n", "  carriers: [{subprotocol: {verify: [local]}}]\n", 1))
	says(t, mustDial(t, "ws://"+without.public+"/?access_token="+g.hubTicket(t, nil), nil), failed, 40143)
}

// The hub lets in by key, by token and by ticket, and refuses in its own words,
// beside routes.
func TestHub(t *testing.T) {
	b := newBackend(t)
	g := start(t, hubbed+fmt.Sprintf("routes: [{path: /chat, upstream: %q, carriers: [bearer: {verify: [local]}]}]\n", b.ws()))
	at := "ws://" + g.public + "/?v=6&"
	key := "key=" + url.QueryEscape("chat.full:"+secret)
	c := mustDial(t, at+key+"&clientId=me", http.Header{"Origin": {"https://anywhere.example"}})
	if w := next(t, c); w.Action != connected || w.Details.ClientID != "me" {
		t.Errorf("got %+v", w)
	}
	tell(t, c, `{"action":10,"channel":"a"}`)
	says(t, c, attached, 0)

	other := mustDial(t, at+"access_token="+token(t, secret, map[string]any{"capability": `{"a":["subscribe"]}`}), nil)
	if w := next(t, other); w.Action != connected || w.Details.ClientID != "alice" {
		t.Errorf("got %+v for a token of another verifier", w)
	}
	tell(t, other, `{"action":10,"channel":"b"}`)
	says(t, other, failed, 40160)

	ticket := g.hubTicket(t, nil)
	says(t, mustDial(t, at+"ticket="+ticket, nil), connected, 0)
	says(t, mustDial(t, at+"ticket="+ticket, nil), failed, 40101)

	says(t, mustDial(t, at+"key=this.is:wrong", nil), failed, 40101)
	says(t, mustDial(t, at, nil), failed, 40101)
	says(t, mustDial(t, at+"access_token="+token(t, secret, map[string]any{"exp": 1}), nil), failed, 40142)
	says(t, mustDial(t, "ws://"+g.public+"/channels/a?"+key, nil), failed, 40400)

	h := basic("chat.full", secret)
	h.Set("Content-Type", "application/json")
	if res, body := do(t, http.MethodPost, "http://"+g.public+"/channels/a/messages", h, `{"data":"x"}`); res.StatusCode != http.StatusCreated {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if w := next(t, c); w.Action != 15 || w.Channel != "a" {
		t.Errorf("got %+v, want what was published by REST", w)
	}
	if res, _ := do(t, http.MethodGet, "http://"+g.public+"/channels/a%2F%2e%2e/messages", h, ""); res.StatusCode != http.StatusOK {
		t.Errorf("got %d for a name that looks like a path", res.StatusCode)
	}
	if res, body := do(t, http.MethodGet, "http://"+g.public+"/time", nil, ""); res.StatusCode != http.StatusOK || body[0] != '[' {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	for path, header := range map[string]http.Header{"/sse?channels=a": nil, "/sse": h, "/a/b": h, "/push/x": h} {
		res, body := do(t, http.MethodGet, "http://"+g.public+path, header, "")
		if res.StatusCode != http.StatusNotFound || res.Header.Get("X-Ably-Errorcode") != "40400" || !strings.Contains(body, `"code":40400`) {
			t.Errorf("%s: got %d %s, want 40400", path, res.StatusCode, body)
		}
	}
	says(t, mustDial(t, "ws://"+g.public+"/sse?"+key, nil), failed, 40400)
	if res, _ := do(t, http.MethodOptions, "http://"+g.public+"/sse", http.Header{"Origin": {"https://a.example"}}, ""); res.Header.Get("Access-Control-Allow-Origin") == "" {
		t.Errorf("got %v, want that a page may see that there is nothing", res.Header)
	}
	echo(t, mustDial(t, "ws://"+g.public+"/chat", bearer(t)), "beside the hub")
	if res, body := do(t, http.MethodGet, "http://"+g.admin+"/readyz", nil, ""); res.StatusCode != http.StatusOK || !strings.Contains(body, `"hub"`) {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	if strings.Contains(g.logs.String(), secret) || strings.Contains(g.logs.String(), ticket) {
		t.Error("got a secret in the log")
	}
}

// A reload changes apps and keys, and what a key that is no more has opened
// ends.
func TestHubReload(t *testing.T) {
	dir := t.TempDir()
	g := startIn(t, dir, hubbed)
	at := "ws://" + g.public + "/?key=chat."
	c, stays := mustDial(t, at+"see:"+secret, nil), mustDial(t, at+"full:"+secret, nil)
	says(t, c, connected, 0)
	says(t, stays, connected, 0)
	write(t, dir, "usher.yaml", strings.Replace(hubbed, "see: {secret: {file: secret}", "new: {secret: {file: secret}", 1)+"\n")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	says(t, c, disconnected, 40141)
	says(t, mustDial(t, at+"see:"+secret, nil), failed, 40101)
	says(t, mustDial(t, at+"new:"+secret, nil), connected, 0)
	tell(t, stays, `{"action":10,"channel":"a"}`)
	says(t, stays, attached, 0)
	write(t, dir, "usher.yaml", front)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	g.logs.await(t, "key=hub")
	says(t, mustDial(t, at+"full:"+secret, nil), connected, 0)
	g.stop()
	says(t, stays, disconnected, 80003)
}

// Where no app is named there is one, whose key is the same as long as the engine
// keeps its data, and is in no log.
func TestHubOnlyApp(t *testing.T) {
	dir := t.TempDir()
	text := strings.Replace(front, "{memory: true}", "{data: data}", 1) + "hub: {}\n"
	g := startIn(t, dir, text)
	key := g.key
	if !strings.HasPrefix(key, "usher.main:") || len(key) < 40 {
		t.Fatalf("got the key %q", key)
	}
	says(t, mustDial(t, "ws://"+g.public+"/?key="+key, nil), connected, 0)
	h := basic("usher.main", strings.TrimPrefix(key, "usher.main:"))
	h.Set("Content-Type", "application/json")
	if res, body := do(t, http.MethodPost, "http://"+g.public+"/channels/a/messages", h, `{"data":"kept"}`); res.StatusCode != http.StatusCreated {
		t.Errorf("got %d %s", res.StatusCode, body)
	}
	g.stop()
	if strings.Contains(g.logs.String(), strings.TrimPrefix(key, "usher.main:")) {
		t.Error("got the key in the log")
	}
	again := startIn(t, dir, text)
	if again.key != key {
		t.Errorf("got the key %q after a restart, want %q", again.key, key)
	}
	if res, body := do(t, http.MethodGet, "http://"+again.public+"/channels/a/messages", h, ""); res.StatusCode != http.StatusOK || !strings.Contains(body, `"data":"kept"`) {
		t.Errorf("got %d %s after a restart", res.StatusCode, body)
	}
	if start(t, hubbed).key != "" {
		t.Error("got a key where apps are named")
	}
}

// A sandbox has apps made by anybody, and is only for who is on this machine.
func TestSandbox(t *testing.T) {
	dir := t.TempDir()
	g := startWith(t, dir, front, server.Options{Sandbox: true})
	res, body := do(t, http.MethodPost, "http://"+g.public+"/apps", nil, `{"keys":[{}]}`)
	var app struct {
		Keys     []struct{ KeyStr string }
		Endpoint string
		Port     int
	}
	if err := json.Unmarshal([]byte(body), &app); err != nil || res.StatusCode != http.StatusCreated {
		t.Fatalf("got %d %s, %v", res.StatusCode, body, err)
	}
	says(t, mustDial(t, fmt.Sprintf("ws://%s:%d/?key=%s", app.Endpoint, app.Port, app.Keys[0].KeyStr), nil), connected, 0)
	if err := g.Reload(); err != nil {
		t.Error(err)
	}
	if res, _ := do(t, http.MethodPost, "http://"+start(t, hubbed).public+"/apps", nil, `{"keys":[{}]}`); res.StatusCode != http.StatusUnauthorized {
		t.Errorf("got %d without a sandbox", res.StatusCode)
	}
	for _, listen := range []string{"0.0.0.0:0", "example.com:0", ":0"} {
		file := filepath.Join(dir, "open.yaml")
		if err := os.WriteFile(file, []byte(strings.Replace(front, "127.0.0.1:0", listen, 1)), 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := config.Load(file, nil)
		if err != nil {
			t.Fatalf("%s: %v", listen, err)
		}
		if _, err := server.New(c, server.Options{Sandbox: true, Logs: new(logbook)}); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: got %v, want it refused", listen, err)
		}
	}
}
