package server_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/gorilla/websocket"
	natsd "github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/usher-ws/usher/internal/engine/enginetest"
)

// A hubKey is a key of an app that was just made.
type hubKey struct {
	ID         string
	Capability json.RawMessage
	Revocable  bool
	Disabled   bool
	Text       string `json:"key"`
}

// name is the key's, and secret what it signs with.
func (k hubKey) parts() (name, secret string) {
	name, secret, _ = strings.Cut(k.Text, ":")
	return name, secret
}

// token signs a token by the key, which some may do whose clock is ahead.
func (k hubKey) token(t testing.TB, ahead ...time.Duration) string {
	t.Helper()
	name, secret := k.parts()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, new(jose.SignerOptions).WithHeader("kid", name))
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Unix()
	for _, d := range ahead {
		now += int64(d.Seconds())
	}
	jws, err := signer.Sign(fmt.Appendf(nil, `{"iat":%d,"exp":%d}`, now, now+300))
	if err != nil {
		t.Fatal(err)
	}
	text, err := jws.CompactSerialize()
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// makeHubKey makes a key of an app.
func makeHubKey(t testing.TB, addr, app, body string, headers ...string) (k hubKey) {
	t.Helper()
	call(t, addr, "POST", "apps/"+app+"/keys", body, headers...).into(t, http.StatusCreated, &k)
	if name, secret := k.parts(); name != app+"."+k.ID || len(secret) < 32 {
		t.Fatalf("got the key %s with a secret of %d bytes", name, len(secret))
	}
	return k
}

// makeApp makes an app.
func makeApp(t testing.TB, addr, body string, headers ...string) string {
	t.Helper()
	var app struct{ ID string }
	call(t, addr, "POST", "apps", body, headers...).into(t, http.StatusCreated, &app)
	return app.ID
}

// enters dials the hub, and fails the test unless the key or token gets in.
func enters(t testing.TB, g *gateway, credential string) *websocket.Conn {
	t.Helper()
	c := mustDial(t, "ws://"+g.public+"/?"+credential, nil)
	says(t, c, connected, 0)
	return c
}

// publish publishes by REST, and returns the status.
func publish(t testing.TB, g *gateway, key hubKey, channel, text string) int {
	t.Helper()
	name, secret := key.parts()
	h := basic(name, secret)
	h.Set("Content-Type", "application/json")
	res, _ := do(t, "POST", "http://"+g.public+"/channels/"+channel+"/messages", h, `{"data":"`+text+`"}`)
	return res.StatusCode
}

// Apps and keys are made, changed and removed while the hub runs, and what they
// open follows.
func TestApps(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	id := makeApp(t, g.admin, `{}`)
	if len(id) != 12 {
		t.Errorf("got the id %q of an app that was given none", id)
	}
	makeApp(t, g.admin, `{"id":"chat","name":"The chat","limits":{"message_size":10},"namespaces":{"kept":{"retention":"1h"}}}`)
	k := makeHubKey(t, g.admin, "chat", `{"name":"server"}`)
	sees := makeHubKey(t, g.admin, "chat", `{"id":"pages","capability":{"a":["subscribe"]},"revocable":true}`)
	c, byToken, other := enters(t, g, "key="+k.Text), enters(t, g, "access_token="+k.token(t)), enters(t, g, "key="+sees.Text)
	tell(t, c, `{"action":10,"channel":"a"}`)
	says(t, c, attached, 0)
	tell(t, other, `{"action":10,"channel":"b"}`)
	says(t, other, 9, 40160)

	if got := publish(t, g, k, "a", "more than ten"); got != http.StatusBadRequest {
		t.Errorf("got %d for what is longer than the limit, want 400", got)
	}
	got := call(t, g.admin, "PATCH", "apps/chat", `{"limits":{"message_size":null,"rate":7},"namespaces":{"kept":null,"live":{}}}`)
	var app struct {
		Name       string
		Limits     map[string]int
		Namespaces map[string]map[string]any
		Keys       []map[string]any
	}
	got.into(t, http.StatusOK, &app)
	if app.Name != "The chat" || app.Limits["message_size"] != 65536 || app.Limits["rate"] != 7 || len(app.Namespaces) != 1 ||
		app.Namespaces["live"]["retention"] != "2m0s" || len(app.Keys) != 2 || app.Keys[0]["name"] != "server" {
		t.Errorf("got %s", got.text)
	}
	if got := publish(t, g, k, "a", "more than ten"); got != http.StatusCreated {
		t.Errorf("got %d after the limit has changed, want 201", got)
	}
	if w := next(t, c); w.Action != 15 {
		t.Errorf("got %+v, want the message", w)
	}

	// A key that is disabled is no more for who has it, and for its tokens.
	fresh := k.token(t)
	call(t, g.admin, "PATCH", "apps/chat/keys/"+k.ID, `{"disabled":true}`).into(t, http.StatusOK, &k)
	says(t, c, disconnected, 40141)
	says(t, byToken, disconnected, 40141)
	says(t, mustDial(t, "ws://"+g.public+"/?key="+k.Text, nil), failed, 40101)
	says(t, mustDial(t, "ws://"+g.public+"/?access_token="+fresh, nil), failed, 40400)
	enters(t, g, "key="+sees.Text)
	call(t, g.admin, "PATCH", "apps/chat/keys/"+k.ID, `{"disabled":false}`).into(t, http.StatusOK, &k)
	if k.Disabled {
		t.Error("got a key that is disabled")
	}

	// An app goes with all its keys, and another is not touched.
	stays := enters(t, g, "key="+makeHubKey(t, g.admin, id, `{}`).Text)
	last := makeHubKey(t, g.admin, "chat", `{}`)
	opened := []*websocket.Conn{
		enters(t, g, "key="+last.Text), enters(t, g, "access_token="+last.token(t)), enters(t, g, "access_token="+last.token(t, 100*time.Second)),
	}
	for _, c := range opened {
		tell(t, c, `{"action":10,"channel":"b"}`)
		says(t, c, attached, 0)
	}
	if got := call(t, g.admin, "DELETE", "apps/chat", ""); got.status != http.StatusNoContent {
		t.Fatalf("got %d %s", got.status, got.text)
	}
	for _, c := range opened {
		says(t, c, disconnected, 40141)
	}
	says(t, mustDial(t, "ws://"+g.public+"/?key="+last.Text, nil), failed, 40101)
	says(t, mustDial(t, "ws://"+g.public+"/?access_token="+last.token(t), nil), failed, 40400)
	if got := call(t, g.admin, "GET", "apps/chat", ""); got.status != http.StatusNotFound {
		t.Errorf("got %d of an app that was removed", got.status)
	}
	tell(t, stays, `{"action":10,"channel":"a"}`)
	says(t, stays, attached, 0)
	var list struct{ Apps []struct{ ID, Source string } }
	call(t, g.admin, "GET", "apps", "").into(t, http.StatusOK, &list)
	if len(list.Apps) != 2 || list.Apps[0].ID != id || list.Apps[0].Source != "api" || list.Apps[1].ID != "usher" || list.Apps[1].Source != "configuration" {
		t.Errorf("got %+v", list)
	}
}

// A key that allows less holds at once for what is open, and leaves the others
// alone.
func TestAppKeyNarrowed(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"a"}`)
	k, other := makeHubKey(t, g.admin, "a", `{}`), makeHubKey(t, g.admin, "a", `{}`)
	c, byToken, stays := enters(t, g, "key="+k.Text), enters(t, g, "access_token="+k.token(t)), enters(t, g, "key="+other.Text)
	for _, c := range []*websocket.Conn{c, byToken, stays} {
		tell(t, c, `{"action":10,"channel":"a"}`)
		says(t, c, attached, 0)
	}
	call(t, g.admin, "PATCH", "apps/a/keys/"+k.ID, `{"capability":{"b":["*"]}}`).into(t, http.StatusOK, &k)
	for _, c := range []*websocket.Conn{c, byToken} {
		says(t, c, failed, 40160) // Of the channel.
		tell(t, c, `{"action":10,"channel":"b"}`)
		says(t, c, attached, 0)
	}
	tell(t, stays, `{"action":10,"channel":"b"}`)
	says(t, stays, attached, 0)
}

// An app that is disabled lets nobody in, and is as it was once it is enabled.
func TestAppDisabled(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"a"}`)
	k := makeHubKey(t, g.admin, "a", `{}`)
	c := enters(t, g, "key="+k.Text)
	call(t, g.admin, "PATCH", "apps/a", `{"disabled":true}`)
	says(t, c, disconnected, 40141)
	says(t, mustDial(t, "ws://"+g.public+"/?key="+k.Text, nil), failed, 40101)
	call(t, g.admin, "PATCH", "apps/a", `{"disabled":false}`)
	enters(t, g, "key="+makeHubKey(t, g.admin, "a", `{}`).Text)
	var keys struct{ Keys []hubKey }
	call(t, g.admin, "GET", "apps/a/keys", "").into(t, http.StatusOK, &keys)
	if len(keys.Keys) != 2 || keys.Keys[0].ID != k.ID || keys.Keys[0].Disabled {
		t.Errorf("got %+v", keys)
	}
}

// What the configuration has is not the API's to change, and goes first.
func TestAppsOfConfiguration(t *testing.T) {
	dir := t.TempDir()
	g := startIn(t, dir, hubbed)
	for _, tt := range []struct{ method, path, body string }{
		{"PATCH", "apps/chat", `{"name":"x"}`},
		{"DELETE", "apps/chat", ""},
		{"POST", "apps/chat/keys", `{}`},
		{"PATCH", "apps/chat/keys/full", `{"disabled":true}`},
		{"DELETE", "apps/chat/keys/full", ""},
		{"POST", "apps", `{"id":"chat"}`},
	} {
		got := call(t, g.admin, tt.method, tt.path, tt.body)
		if got.status != http.StatusConflict || !strings.Contains(got.text, "hub.apps.chat") {
			t.Errorf("%s %s: got %d %s, want 409 that says where it is", tt.method, tt.path, got.status, got.text)
		}
	}
	var key hubKey
	call(t, g.admin, "GET", "apps/chat/keys/see", "").into(t, http.StatusOK, &key)
	if string(key.Capability) == "" || !strings.Contains(string(key.Capability), "subscribe") {
		t.Errorf("got %+v", key)
	}
	// A token that names no app is for the configuration's one, whatever the API makes.
	makeApp(t, g.admin, `{"id":"late"}`)
	k := makeHubKey(t, g.admin, "late", `{}`)
	c := enters(t, g, "key="+k.Text)
	enters(t, g, "access_token="+token(t, secret, map[string]any{"capability": `{"a":["subscribe"]}`}))
	// The configuration takes the id, and lets it go.
	without := strings.Replace(hubbed, "  verify: [local]\n  carriers: [{ticket: {}}]\n", "", 1)
	write(t, dir, "usher.yaml", without+"    late: {}\n")
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	says(t, c, disconnected, 40141)
	g.logs.await(t, "an app of the admin API is not in force")
	if got := call(t, g.admin, "PATCH", "apps/late", `{"disabled":true}`); got.status != http.StatusConflict {
		t.Errorf("got %d %s for an app that is shadowed", got.status, got.text)
	}
	write(t, dir, "usher.yaml", without)
	if err := g.Reload(); err != nil {
		t.Fatal(err)
	}
	enters(t, g, "key="+makeHubKey(t, g.admin, "late", `{}`).Text)
}

// Two operators who write at the same time lose nothing, and who has read before
// can have it checked that nobody has written since.
func TestAppsAtTheSameTime(t *testing.T) {
	g := start(t, front+"hub: {}\n")
	makeApp(t, g.admin, `{"id":"a"}`)
	read := call(t, g.admin, "GET", "apps/a", "")
	tag := read.header.Get("Etag")
	const each = 8
	var racing sync.WaitGroup
	for i := range each {
		racing.Go(func() {
			if got := call(t, g.admin, "POST", "apps/a/keys", fmt.Sprintf(`{"id":"k%d"}`, i)); got.status != http.StatusCreated {
				t.Errorf("got %d %s", got.status, got.text)
			}
		})
		racing.Go(func() {
			if got := call(t, g.admin, "PATCH", "apps/a", fmt.Sprintf(`{"namespaces":{"n%d":{}}}`, i)); got.status != http.StatusOK {
				t.Errorf("got %d %s", got.status, got.text)
			}
		})
	}
	racing.Wait()
	var app struct {
		Namespaces map[string]any
		Keys       []hubKey
	}
	now := call(t, g.admin, "GET", "apps/a", "")
	now.into(t, http.StatusOK, &app)
	if len(app.Keys) != each || len(app.Namespaces) != each {
		t.Errorf("got %d keys and %d namespaces, want %d: %s", len(app.Keys), len(app.Namespaces), each, now.text)
	}
	for _, stale := range []struct{ method, path, body string }{
		{"PATCH", "apps/a", `{"name":"x"}`},
		{"DELETE", "apps/a", ""},
		{"POST", "apps/a/keys", `{}`},
		{"PATCH", "apps/a/keys/k1", `{"disabled":true}`},
		{"DELETE", "apps/a/keys/k1", ""},
	} {
		if got := call(t, g.admin, stale.method, stale.path, stale.body, "If-Match", tag); got.status != http.StatusPreconditionFailed {
			t.Errorf("%s %s: got %d %s, want 412", stale.method, stale.path, got.status, got.text)
		}
	}
	if got := call(t, g.admin, "DELETE", "apps/a", "", "If-Match", now.header.Get("Etag")); got.status != http.StatusNoContent {
		t.Errorf("got %d %s for the last revision, want 204", got.status, got.text)
	}
}

// keptFor is how long the log of the hub keeps messages.
func keptFor(t testing.TB, s *natsd.Server) time.Duration {
	t.Helper()
	nc, err := nats.Connect(s.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "usher_kept_0")
	if err != nil {
		t.Fatal(err)
	}
	return stream.CachedInfo().Config.MaxAge
}

// Over an engine that nodes share, what one node changes holds on the other, also
// after a restart; and while the engine is down nothing is changed.
func TestAppsOverNodes(t *testing.T) {
	dir := t.TempDir()
	port := enginetest.FreePorts(t, 1)[0]
	store := natsServer(t, dir, port)
	text := strings.Replace(front, "{memory: true}", fmt.Sprintf("{nats: nats://127.0.0.1:%d, key: {file: secret}}", port), 1) + "hub: {durability: memory}\n"
	one, two := start(t, text), start(t, text)
	makeApp(t, one.admin, `{"id":"chat"}`)
	k := makeHubKey(t, one.admin, "chat", `{}`)
	until(t, "known to the other node", func() bool { return publish(t, two, k, "a", "x") == http.StatusCreated })
	c, byToken := enters(t, two, "key="+k.Text), enters(t, two, "access_token="+k.token(t))
	begun := time.Now()
	if got := call(t, one.admin, "DELETE", "apps/chat/keys/"+k.ID, ""); got.status != http.StatusNoContent {
		t.Fatalf("got %d %s", got.status, got.text)
	}
	says(t, c, disconnected, 40141)
	says(t, byToken, disconnected, 40141)
	if took := time.Since(begun); took > patience/6 {
		t.Errorf("got the end on the other node after %v, want within a second", took)
	}
	says(t, mustDial(t, "ws://"+two.public+"/?key="+k.Text, nil), failed, 40101)

	call(t, two.admin, "PATCH", "apps/chat", `{"namespaces":{"archive":{"retention":"72h"}}}`)
	until(t, "kept for the 72 h of the namespace", func() bool { return keptFor(t, store) >= 72*time.Hour })
	last := makeHubKey(t, two.admin, "chat", `{}`)
	three := start(t, text)
	enters(t, three, "key="+last.Text)
	three.stop()

	store.Shutdown()
	store.WaitForShutdown()
	until(t, "unready", func() bool { return ready(t, one).status == 503 })
	for _, tt := range []struct{ method, path, body string }{
		{"POST", "apps", `{"id":"other"}`},
		{"PATCH", "apps/chat", `{"disabled":true}`},
		{"DELETE", "apps/chat", ""},
		{"POST", "apps/chat/keys", `{}`},
		{"DELETE", "apps/chat/keys/" + last.ID, ""},
	} {
		if got := call(t, one.admin, tt.method, tt.path, tt.body); got.status != http.StatusServiceUnavailable || !strings.Contains(got.text, "try again") {
			t.Errorf("%s %s: got %d %s, want 503", tt.method, tt.path, got.status, got.text)
		}
	}
	enters(t, one, "key="+last.Text)
	natsServer(t, dir, port)
	until(t, "ready again", func() bool { return ready(t, one).status == 200 && ready(t, two).status == 200 })
	var app struct {
		Disabled bool
		Keys     []hubKey
	}
	call(t, two.admin, "GET", "apps/chat", "").into(t, http.StatusOK, &app)
	if app.Disabled || !slices.ContainsFunc(app.Keys, func(k hubKey) bool { return k.ID == last.ID }) || len(app.Keys) != 1 {
		t.Errorf("got %+v after the engine was down, want it as it was", app)
	}
	enters(t, two, "key="+last.Text)
}
