package cluster_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// startHub starts a node of a hub with one app, whose keys have one secret.
func startHub(t *testing.T, name, nats string) *gateway {
	t.Helper()
	return serve(t, name, fmt.Sprintf(`listen: 127.0.0.1:0
admin: 127.0.0.1:0
engine: {nats: %q, replicas: 3, key: {file: key}}
drain: 0s
hub:
  apps:
    chat:
      keys:
        full: {secret: {file: key}}
        pages: {secret: {file: key}, revocable: true}
`, nats))
}

var hubSecret = strings.Repeat("k", 32)

// hubToken is a JWT of the key pages, of a minute ago.
func hubToken(capability string) string {
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	made := time.Now().Add(-time.Minute).Unix()
	text := part(`{"alg":"HS256","kid":"chat.pages"}`) + "." +
		part(fmt.Sprintf(`{"iat":%d,"exp":%d,"x-ably-capability":%s}`, made, made+600, capability))
	h := hmac.New(sha256.New, []byte(hubSecret))
	h.Write([]byte(text))
	return text + "." + part(string(h.Sum(nil)))
}

// A hubClient is a connection to a hub, with no more of the protocol than tests
// need.
type hubClient struct {
	t    *testing.T
	conn net.Conn
	rw   io.ReadWriter
}

// A hubWord is what a hub says.
type hubWord struct {
	Action        int
	Flags         int
	ConnectionID  string
	Channel       string
	ChannelSerial string
	Error         struct{ Code int }
	Details       struct{ ConnectionKey string } `json:"connectionDetails"`
	Messages      []struct{ Data string }
}

func (g *gateway) hub(query string) *hubClient {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(g.t.Context(), patience)
	defer cancel()
	conn, early, _, err := ws.Dial(ctx, "ws://"+g.public+"/?"+query)
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = conn.Close() })
	c := &hubClient{g.t, conn, conn}
	if early != nil {
		c.rw = struct {
			io.Reader
			io.Writer
		}{io.MultiReader(io.LimitReader(early, int64(early.Buffered())), conn), conn}
	}
	return c
}

// next is the next word, heartbeats left out.
func (c *hubClient) next() (w hubWord) {
	c.t.Helper()
	_ = c.conn.SetReadDeadline(time.Now().Add(patience))
	for {
		text, err := wsutil.ReadServerText(c.rw)
		if err != nil {
			c.t.Fatalf("read: %v", err)
		}
		w = hubWord{}
		if err := json.Unmarshal(text, &w); err != nil {
			c.t.Fatalf("%v in %s", err, text)
		}
		if w.Action != 0 {
			return w
		}
	}
}

func (c *hubClient) say(text string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, []byte(text)); err != nil {
		c.t.Fatal(err)
	}
}

// rest asks the hub's REST side, with a key.
func (g *gateway) rest(method, path, key, body string) (status int, answer string) {
	g.t.Helper()
	req, err := http.NewRequestWithContext(g.t.Context(), method, "http://"+g.public+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	req.SetBasicAuth(key, hubSecret)
	req.Header.Set("Content-Type", "application/json")
	res, err := httpClient.Do(req)
	if err != nil {
		g.t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		g.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

const (
	wordConnected    = 4
	wordDisconnected = 6
	wordFailed       = 9
	wordAttached     = 11
	wordMessage      = 15
	resumed          = 1 << 2
)

// A client whose node is gone comes to another one: it is told that its connection
// is a new one (80018), goes on where it was by the position of what it saw last,
// and misses nothing and sees nothing twice. What it publishes again with its id
// is there once.
func TestHubResumeElsewhere(t *testing.T) {
	nats := startNATS(t)
	first, second := startHub(t, "hub0", nats.urls(0)), startHub(t, "hub1", nats.urls(1))
	const key = "key=chat.full:kkkkkkkkkkkkkkkkkkkkkkkkkkkkkkkk"
	c := first.hub(key)
	was := c.next()
	c.say(`{"action":10,"channel":"room"}`)
	serial := c.next().ChannelSerial
	publish := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			if status, body := second.rest(http.MethodPost, "/channels/room/messages", "chat.full", fmt.Sprintf(`{"id":"m%d","data":"%d"}`, i, i)); status != http.StatusCreated {
				t.Fatalf("publish %d: got %d %s", i, status, body)
			}
		}
	}
	sees := func(from, to int) {
		t.Helper()
		for i := from; i < to; i++ {
			w := c.next()
			if w.Action != wordMessage || w.Messages[0].Data != fmt.Sprint(i) {
				t.Fatalf("got %+v, want message %d", w, i)
			}
			serial = w.ChannelSerial
		}
	}
	publish(0, 5)
	sees(0, 5)
	_ = first.process.cmd.Process.Kill()
	first.process.reap()
	publish(5, 10)
	publish(3, 8) // Again, as by who had no answer.
	for i, way := range []string{"resume", "recover"} {
		c = second.hub(key + "&" + way + "=" + was.Details.ConnectionKey)
		if w := c.next(); w.Action != wordConnected || w.Error.Code != 80018 || w.ConnectionID == was.ConnectionID {
			t.Fatalf("%s: got %+v, want another connection, and why", way, w)
		}
		c.say(`{"action":10,"channel":"room","channelSerial":"` + serial + `"}`)
		if w := c.next(); w.Action != wordAttached || w.Flags&resumed == 0 || w.Error.Code != 0 {
			t.Fatalf("%s: got %+v, want it attached where it was", way, w)
		}
		sees(5*(i+1), 5*(i+1)+5)
		publish(5*i+10, 5*i+15) // Live, and then what the next one has missed.
		if i == 0 {
			_ = c.conn.Close()
		} else {
			sees(15, 20)
		}
	}
	if _, body := second.rest(http.MethodGet, "/channels/room/messages?limit=1000", "chat.full", ""); strings.Count(body, `"data"`) != 20 {
		t.Errorf("got %d messages in the history, want 20", strings.Count(body, `"data"`))
	}
}

// What is taken back at one node ends at the others in under a second, and opens
// nothing more there.
func TestHubRevocationOverNodes(t *testing.T) {
	nats := startNATS(t)
	nodes := []*gateway{startHub(t, "hub0", nats.urls(0)), startHub(t, "hub1", nats.urls(1))}
	mine, other := hubToken(`{"room":["*"],"x":["*"]}`), hubToken(`{"room:*":["*"]}`)
	var ends, stays []*hubClient
	for _, g := range nodes {
		ends, stays = append(ends, g.hub("access_token="+mine)), append(stays, g.hub("access_token="+other))
	}
	for _, c := range append(ends[:2:2], stays...) {
		if w := c.next(); w.Action != wordConnected {
			t.Fatalf("got %+v", w)
		}
	}
	begun := time.Now()
	if status, body := nodes[0].rest(http.MethodPost, "/keys/chat.pages/revokeTokens", "chat.pages", `{"targets":["channel:room"]}`); status != http.StatusCreated || !strings.Contains(body, `"successCount":1`) {
		t.Fatalf("got %d %s", status, body)
	}
	for i, c := range ends {
		if w := c.next(); w.Action != wordDisconnected || w.Error.Code != 40141 || time.Since(begun) > time.Second {
			t.Errorf("node %d: got %+v after %v, want it told within a second", i, w, time.Since(begun))
		}
	}
	for i, g := range nodes {
		if w := g.hub("access_token=" + mine).next(); w.Action != wordFailed || w.Error.Code != 40141 {
			t.Errorf("node %d: got %+v of a token that was taken back", i, w)
		}
		stays[i].say(`{"action":10,"channel":"room:1"}`)
		if w := stays[i].next(); w.Action != wordAttached {
			t.Errorf("node %d: got %+v of another token, want it to go on", i, w)
		}
	}
}
